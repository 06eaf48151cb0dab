// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * QEMU's migration stream (docs/devel/migration.rst and migration/ram.c of QEMU 7.2), as far as the guest's memory is
 * in it: sections of id "ram" come first, each a list of pages, then all devices, which are copied as they are.
 */
#include <string.h>

#include "shim/save-image.h"

/* libvirt's header (qemu_saveimage.h): magic, version, length of what lies before QEMU's stream, ... */
#define LIBVIRT_MAGIC "LibvirtQemudSave"
#define LIBVIRT_HEADER_BYTES 92u
#define LIBVIRT_COMPRESSION_OFFSET 28u

#define QEMU_MAGIC 0x5145564du /* "QEVM" */
#define QEMU_VERSION 3u
enum { SECTION_START = 0x01, SECTION_PART = 0x02, SECTION_END = 0x03, SECTION_CONFIGURATION = 0x07 };
enum { SECTION_FOOTER = 0x7e };

#define PAGE_BYTES 4096u
#define FLAGS_MASK ((guint64)PAGE_BYTES - 1)
enum { PAGE_ZERO = 0x02, PAGE_SIZES = 0x04, PAGE_PLAIN = 0x08, PAGE_END = 0x10, PAGE_SAME_BLOCK = 0x20 };

typedef struct {
  const guint8 *data;
  gsize length, at;
  gsize copied; /* what lies before has been written, or left out */
  gboolean bad; /* it ended early */
  SaveImageWrite write;
  gpointer user_data;
  gboolean failed;      /* write did */
  char block[256];      /* the record's */
  char kept_block[256]; /* that of the last record written */
  GHashTable *kept;     /* addresses of the pages of the guest's memory that were written */
} Stream;

/* ---- reading ---- */

static const guint8 *take(Stream *stream, gsize length) {
  if (stream->bad || stream->length - stream->at < length) {
    stream->bad = TRUE;
    return NULL;
  }
  stream->at += length;
  return stream->data + stream->at - length;
}

static guint8 take_8(Stream *stream) {
  const guint8 *b = take(stream, 1);
  return b != NULL ? b[0] : 0;
}

static guint32 take_32(Stream *stream) {
  const guint8 *b = take(stream, 4);
  guint32 value = 0;
  if (b != NULL) memcpy(&value, b, 4);
  return GUINT32_FROM_BE(value);
}

static guint64 take_64(Stream *stream) {
  const guint8 *b = take(stream, 8);
  guint64 value = 0;
  if (b != NULL) memcpy(&value, b, 8);
  return GUINT64_FROM_BE(value);
}

static void take_name(Stream *stream, char ret_name[256]) {
  guint8 length = take_8(stream);
  const guint8 *text = take(stream, length);
  if (text == NULL) return;
  memcpy(ret_name, text, length);
  ret_name[length] = '\0';
}

/* ---- writing ---- */

static void put(Stream *stream, const void *data, gsize length) {
  if (!stream->failed && length > 0 && !stream->write(data, length, stream->user_data)) stream->failed = TRUE;
}

static void copy_up_to(Stream *stream, gsize end) {
  put(stream, stream->data + stream->copied, end - stream->copied);
  stream->copied = end;
}

/* ---- the guest's memory ---- */

/* Of what QEMU itself begins with zeros: the ROMs, say, it does not. Names as libvirt gives them. */
static gboolean is_guest_memory(const char *block) {
  return strcmp(block, "pc.ram") == 0 || g_str_has_prefix(block, "ram-node") || g_str_has_prefix(block, "memdimm");
}

/* A page's place as a key; blocks are kept apart by the name's hash. */
static gpointer page_key(const Stream *stream, guint64 address) {
  guint64 hash = g_str_hash(stream->block);
  return GSIZE_TO_POINTER((gsize)(address ^ (hash << 44) ^ (hash >> 20 & FLAGS_MASK)));
}

/* Writes the record that began at begin, its payload at payload, with a block's name if that of the last one written
 * differs. */
static void keep_record(Stream *stream, guint64 word, gsize begin, gsize payload) {
  gboolean says_same = (word & PAGE_SAME_BLOCK) != 0;
  if (!says_same || strcmp(stream->block, stream->kept_block) == 0) {
    g_strlcpy(stream->kept_block, stream->block, sizeof stream->kept_block);
    copy_up_to(stream, stream->at);
    return;
  }
  guint64 named = GUINT64_TO_BE(word & ~(guint64)PAGE_SAME_BLOCK);
  guint8 length = (guint8)strlen(stream->block);
  copy_up_to(stream, begin);
  put(stream, &named, sizeof named);
  put(stream, &length, 1);
  put(stream, stream->block, length);
  stream->copied = payload;
  copy_up_to(stream, stream->at);
  g_strlcpy(stream->kept_block, stream->block, sizeof stream->kept_block);
}

static void pass_page(Stream *stream, guint64 word, gsize begin) {
  if ((word & PAGE_SAME_BLOCK) == 0) take_name(stream, stream->block);
  gsize payload = stream->at;
  gboolean is_zero = (word & PAGE_ZERO) != 0;
  guint8 filled_with = 0;
  if (is_zero)
    filled_with = take_8(stream);
  else
    take(stream, PAGE_BYTES);
  if (stream->bad) return;
  gpointer key = page_key(stream, word & ~FLAGS_MASK);
  /* One that was written before, with something in it, must be cleared. */
  gboolean is_needless =
      is_zero && filled_with == 0 && is_guest_memory(stream->block) && !g_hash_table_contains(stream->kept, key);
  if (is_needless) {
    copy_up_to(stream, begin);
    stream->copied = stream->at;
    return;
  }
  g_hash_table_add(stream->kept, key);
  keep_record(stream, word, begin, payload);
}

/* The list of blocks: name and size each, until all of the sizes' sum is there. */
static void pass_sizes(Stream *stream, guint64 total) {
  char name[256];
  guint64 sum = 0;
  while (!stream->bad && sum < total) {
    take_name(stream, name);
    sum += take_64(stream);
  }
}

/* FALSE: something unknown is in it. */
static gboolean pass_memory(Stream *stream) {
  while (!stream->bad) {
    gsize begin = stream->at;
    guint64 word = take_64(stream);
    guint64 flags = word & FLAGS_MASK & ~(guint64)PAGE_SAME_BLOCK;
    if (flags == PAGE_END) return TRUE;
    if (flags == PAGE_SIZES)
      pass_sizes(stream, word & ~FLAGS_MASK);
    else if (flags == PAGE_ZERO || flags == PAGE_PLAIN)
      pass_page(stream, word, begin);
    else
      return FALSE;
    if (stream->failed) return FALSE;
  }
  return FALSE;
}

/* ---- sections ---- */

static gboolean pass_begin(Stream *stream) {
  const guint8 *header = take(stream, LIBVIRT_HEADER_BYTES);
  if (header == NULL || memcmp(header, LIBVIRT_MAGIC, strlen(LIBVIRT_MAGIC)) != 0) return FALSE;
  guint32 xml_length, compression;
  memcpy(&xml_length, header + strlen(LIBVIRT_MAGIC) + 4, 4); /* in the host's order */
  memcpy(&compression, header + LIBVIRT_COMPRESSION_OFFSET, 4);
  if (compression != 0 || take(stream, xml_length) == NULL) return FALSE;
  if (take_32(stream) != QEMU_MAGIC || take_32(stream) != QEMU_VERSION) return FALSE;
  if (take_8(stream) != SECTION_CONFIGURATION) return FALSE;
  take(stream, take_32(stream));
  return !stream->bad;
}

static gboolean pass_footer(Stream *stream, guint32 id) {
  return take_8(stream) == SECTION_FOOTER && take_32(stream) == id && !stream->bad;
}

static gboolean pass_sections(Stream *stream) {
  if (!pass_begin(stream)) return FALSE;
  char name[256];
  guint8 kind = take_8(stream);
  guint32 id = take_32(stream);
  take_name(stream, name);
  take(stream, 8); /* instance and version */
  if (stream->bad || kind != SECTION_START || strcmp(name, "ram") != 0) return FALSE;
  for (;;) {
    if (!pass_memory(stream) || !pass_footer(stream, id)) return FALSE;
    if (kind == SECTION_END) break;
    kind = take_8(stream);
    if ((kind != SECTION_PART && kind != SECTION_END) || take_32(stream) != id) return FALSE;
  }
  copy_up_to(stream, stream->length);
  return !stream->failed;
}

SavePagesResult save_pages_drop_zeros(const guint8 *data, gsize length, SaveImageWrite write, gpointer user_data) {
  g_autoptr(GHashTable) kept = g_hash_table_new(NULL, NULL);
  Stream stream = {.data = data, .length = length, .write = write, .user_data = user_data, .kept = kept};
  if (pass_sections(&stream)) return SAVE_PAGES_DONE;
  return stream.failed ? SAVE_PAGES_FAILED : SAVE_PAGES_UNKNOWN;
}
