/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Writes XML: everything is escaped, what is opened is indented, and the first failure sticks. */
#pragma once

#include <glib.h>

typedef struct XmlWriter XmlWriter;

XmlWriter *xml_writer_new(void);
void xml_writer_free(XmlWriter *xml);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(XmlWriter, xml_writer_free)

/* Attributes are pairs of name and value; a NULL value leaves its attribute out; a NULL name ends them. */
void xml_open(XmlWriter *xml, const char *element, ...) G_GNUC_NULL_TERMINATED;
void xml_close(XmlWriter *xml);

/* An element without content. */
void xml_leaf(XmlWriter *xml, const char *element, ...) G_GNUC_NULL_TERMINATED;

/* An element that holds only text; before it, inside the last opened one, an attribute can be set. */
void xml_text(XmlWriter *xml, const char *element, const char *text);
void xml_number(XmlWriter *xml, const char *element, guint64 number);
void xml_content(XmlWriter *xml, const char *text);

/* The whole text, or NULL if anything failed (libxml2 had no memory). */
char *xml_writer_finish(XmlWriter *xml, GError **error);
