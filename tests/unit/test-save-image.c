// SPDX-License-Identifier: LGPL-2.1-or-later
/* What is left out of a saved machine: streams made by hand, read by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka.h wants the four above
#include <cmocka.h>
#include <string.h>

#include "shim/save-image.h"

#define PAGE 4096
enum { ZERO = 0x02, SIZES = 0x04, PLAIN = 0x08, END = 0x10, SAME = 0x20 };

static void add_32(GByteArray *to, guint32 value) {
  guint32 big = GUINT32_TO_BE(value);
  g_byte_array_append(to, (const guint8 *)&big, 4);
}

static void add_64(GByteArray *to, guint64 value) {
  guint64 big = GUINT64_TO_BE(value);
  g_byte_array_append(to, (const guint8 *)&big, 8);
}

static void add_8(GByteArray *to, guint8 value) { g_byte_array_append(to, &value, 1); }

static void add_name(GByteArray *to, const char *name) {
  add_8(to, (guint8)strlen(name));
  g_byte_array_append(to, (const guint8 *)name, (guint)strlen(name));
}

/* name NULL: the last record's block. fill: what the page is full of. */
static void add_page(GByteArray *to, const char *name, guint64 address, guint8 fill) {
  add_64(to, address | (fill != 0 ? PLAIN : ZERO) | (name == NULL ? SAME : 0));
  if (name != NULL) add_name(to, name);
  if (fill == 0) {
    add_8(to, 0);
    return;
  }
  guint8 page[PAGE];
  memset(page, fill, sizeof page);
  g_byte_array_append(to, page, sizeof page);
}

static void add_footer(GByteArray *to) {
  add_64(to, END);
  add_8(to, 0x7e);
  add_32(to, 3);
}

/* Up to the first list of pages. */
static GByteArray *begin_stream(void) {
  GByteArray *made = g_byte_array_new();
  guint32 words[19] = {2, 5, 1, 0};
  g_byte_array_append(made, (const guint8 *)"LibvirtQemudSave", 16);
  g_byte_array_append(made, (const guint8 *)words, sizeof words);
  g_byte_array_append(made, (const guint8 *)"<xml>", 5);
  add_32(made, 0x5145564d);
  add_32(made, 3);
  add_8(made, 7);
  add_32(made, 3);
  g_byte_array_append(made, (const guint8 *)"q35", 3);
  add_8(made, 1);
  add_32(made, 3);
  add_name(made, "ram");
  add_32(made, 0);
  add_32(made, 4);
  add_64(made, 0x6000 | SIZES);
  add_name(made, "pc.ram");
  add_64(made, 0x4000);
  add_name(made, "pc.bios");
  add_64(made, 0x2000);
  add_footer(made);
  return made;
}

static void begin_section(GByteArray *to, guint8 kind) {
  add_8(to, kind);
  add_32(to, 3);
}

/* In the midst of a section. */
static void end_stream(GByteArray *to) {
  add_footer(to);
  begin_section(to, 3);
  add_footer(to);
  g_byte_array_append(to, (const guint8 *)"\4devices", 8);
}

static gboolean collect(const void *data, gsize length, gpointer user_data) {
  g_byte_array_append(user_data, data, (guint)length);
  return TRUE;
}

static gboolean refuse(const void *data, gsize length, gpointer user_data) { return FALSE; }

static void check_result(const GByteArray *in, const GByteArray *expected) {
  g_autoptr(GByteArray) out = g_byte_array_new();
  assert_int_equal(save_pages_drop_zeros(in->data, in->len, collect, out), SAVE_PAGES_DONE);
  assert_int_equal(out->len, expected->len);
  assert_memory_equal(out->data, expected->data, out->len);
}

static void test_zeros_of_the_guest_go(void **state) {
  g_autoptr(GByteArray) in = begin_stream(), expected = begin_stream();
  begin_section(in, 2);
  add_page(in, "pc.ram", 0x0000, 0);
  add_page(in, NULL, 0x1000, 7);
  add_page(in, NULL, 0x2000, 0);
  add_page(in, "pc.bios", 0x0000, 0);
  add_page(in, NULL, 0x1000, 9);
  end_stream(in);
  /* The first page kept names the block that the one left out had named. */
  begin_section(expected, 2);
  add_page(expected, "pc.ram", 0x1000, 7);
  add_page(expected, "pc.bios", 0x0000, 0);
  add_page(expected, NULL, 0x1000, 9);
  end_stream(expected);
  check_result(in, expected);
}

static void test_a_page_that_was_cleared_is_kept(void **state) {
  g_autoptr(GByteArray) in = begin_stream(), expected = begin_stream();
  begin_section(in, 2);
  add_page(in, "pc.ram", 0x1000, 7);
  add_page(in, "pc.bios", 0x1000, 7);
  add_page(in, "pc.ram", 0x2000, 0);
  add_page(in, NULL, 0x1000, 0);
  end_stream(in);
  begin_section(expected, 2);
  add_page(expected, "pc.ram", 0x1000, 7);
  add_page(expected, "pc.bios", 0x1000, 7);
  add_page(expected, "pc.ram", 0x1000, 0);
  end_stream(expected);
  check_result(in, expected);
}

static void expect(const GByteArray *in, gsize length, SavePagesResult expected) {
  g_autoptr(GByteArray) out = g_byte_array_new();
  /* A copy of just that length, so that valgrind and sanitizers see what is read beyond. */
  g_autofree guint8 *exact = g_memdup2(in->data, length);
  assert_int_equal(save_pages_drop_zeros(exact, length, collect, out), expected);
}

static void test_what_is_unknown_is_said(void **state) {
  g_autoptr(GByteArray) in = begin_stream();
  begin_section(in, 2);
  add_page(in, "pc.ram", 0x1000, 7);
  gsize flags = in->len;
  add_page(in, NULL, 0x2000, 0);
  end_stream(in);
  gsize devices = in->len - 8;
  for (gsize length = 0; length < devices; length += length < 400 || length > devices - 60 ? 1 : 509)
    expect(in, length, SAVE_PAGES_UNKNOWN);
  expect(in, devices, SAVE_PAGES_DONE);
  in->data[flags + 6] = 0x01; /* a flag of pages that are compressed: 0x100 */
  expect(in, in->len, SAVE_PAGES_UNKNOWN);
  in->data[flags + 6] = 0;
  in->data[28] = 1; /* libvirt's own compression */
  expect(in, in->len, SAVE_PAGES_UNKNOWN);
}

static void test_a_failed_write_ends_it(void **state) {
  g_autoptr(GByteArray) in = begin_stream();
  begin_section(in, 2);
  end_stream(in);
  assert_int_equal(save_pages_drop_zeros(in->data, in->len, refuse, NULL), SAVE_PAGES_FAILED);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_zeros_of_the_guest_go),
      cmocka_unit_test(test_a_page_that_was_cleared_is_kept),
      cmocka_unit_test(test_what_is_unknown_is_said),
      cmocka_unit_test(test_a_failed_write_ends_it),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
