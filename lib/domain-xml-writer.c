// SPDX-License-Identifier: LGPL-2.1-or-later
#include "lib/domain-xml-writer.h"

#include <libxml/xmlwriter.h>
#include <stdarg.h>

#include "common/error.h"

struct XmlWriter {
  xmlBufferPtr buffer;
  xmlTextWriterPtr writer;
  gboolean failed;
};

#define TO_XML(text) ((const xmlChar *)(text))

XmlWriter *xml_writer_new(void) {
  XmlWriter *xml = g_new0(XmlWriter, 1);
  xml->buffer = xmlBufferCreate();
  xml->writer = xml->buffer != NULL ? xmlNewTextWriterMemory(xml->buffer, 0) : NULL;
  xml->failed = xml->writer == NULL || xmlTextWriterSetIndent(xml->writer, 1) < 0 ||
                xmlTextWriterSetIndentString(xml->writer, TO_XML("  ")) < 0;
  return xml;
}

void xml_writer_free(XmlWriter *xml) {
  if (xml == NULL) return;
  if (xml->writer != NULL) xmlFreeTextWriter(xml->writer);
  if (xml->buffer != NULL) xmlBufferFree(xml->buffer);
  g_free(xml);
}

static void start(XmlWriter *xml, const char *element, va_list attributes) {
  if (!xml->failed) xml->failed = xmlTextWriterStartElement(xml->writer, TO_XML(element)) < 0;
  for (const char *name; (name = va_arg(attributes, const char *)) != NULL;) {
    const char *value = va_arg(attributes, const char *);
    if (value == NULL || xml->failed) continue;
    xml->failed = xmlTextWriterWriteAttribute(xml->writer, TO_XML(name), TO_XML(value)) < 0;
  }
}

void xml_open(XmlWriter *xml, const char *element, ...) {
  va_list attributes;
  va_start(attributes, element);
  start(xml, element, attributes);
  va_end(attributes);
}

void xml_close(XmlWriter *xml) {
  if (!xml->failed) xml->failed = xmlTextWriterEndElement(xml->writer) < 0;
}

void xml_leaf(XmlWriter *xml, const char *element, ...) {
  va_list attributes;
  va_start(attributes, element);
  start(xml, element, attributes);
  va_end(attributes);
  xml_close(xml);
}

void xml_content(XmlWriter *xml, const char *text) {
  if (!xml->failed) xml->failed = xmlTextWriterWriteString(xml->writer, TO_XML(text)) < 0;
}

void xml_text(XmlWriter *xml, const char *element, const char *text) {
  xml_open(xml, element, NULL);
  xml_content(xml, text);
  xml_close(xml);
}

void xml_number(XmlWriter *xml, const char *element, guint64 number) {
  g_autofree char *text = g_strdup_printf("%" G_GUINT64_FORMAT, number);
  xml_text(xml, element, text);
}

char *xml_writer_finish(XmlWriter *xml, GError **error) {
  if (!xml->failed) xml->failed = xmlTextWriterEndDocument(xml->writer) < 0 || xmlTextWriterFlush(xml->writer) < 0;
  if (xml->failed) {
    g_set_error(error, KATA_ERROR, KATA_ERR_RESOURCE_EXHAUSTED, "cannot write the domain XML: libxml2 failed");
    return NULL;
  }
  return g_strndup((const char *)xmlBufferContent(xml->buffer), (gsize)xmlBufferLength(xml->buffer));
}
