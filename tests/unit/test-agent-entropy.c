/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What reaches the kernel's random numbers: its answers do not show it, so the calls are looked at on their way. */
#include <errno.h>
#include <fcntl.h>
#include <linux/random.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* Last: it needs the ones before. */
#include <cmocka.h>

#include "agent/entropy.h"
#include "common/error.h"

int __wrap_ioctl(int fd, unsigned long request, ...);
ssize_t __wrap_write(int fd, const void *data, size_t size);

static struct {
  GString *calls; /* "write N ", "credit N ", "reseed " */
  GByteArray *written;
  unsigned long failing; /* ioctl that fails */
} kernel;

static void check_device(int fd) {
  g_autofree char *path = g_strdup_printf("/proc/self/fd/%d", fd);
  g_autofree char *device = g_file_read_link(path, NULL);
  assert_string_equal(device, "/dev/random");
}

/* Whoever runs the tests may not be allowed to do that, and his kernel has no need of these bytes. */
int __wrap_ioctl(int fd, unsigned long request, ...) {
  va_list arguments;
  va_start(arguments, request);
  const void *argument = va_arg(arguments, const void *);
  va_end(arguments);
  check_device(fd);
  if (request == kernel.failing) {
    errno = EPERM;
    return -1;
  }
  if (request == RNDADDTOENTCNT)
    g_string_append_printf(kernel.calls, "credit %d ", *(const int *)argument);
  else if (request == RNDRESEEDCRNG)
    g_string_append(kernel.calls, "reseed ");
  else
    fail_msg("ioctl 0x%lx", request);
  return 0;
}

/* In two parts, as a kernel may take it. */
ssize_t __wrap_write(int fd, const void *data, size_t size) {
  check_device(fd);
  size_t taken = size > 1 ? size / 2 + 1 : size;
  g_string_append_printf(kernel.calls, "write ");
  g_byte_array_append(kernel.written, data, (guint)taken);
  return (ssize_t)taken;
}

static int set_up(void **state) {
  kernel.calls = g_string_new(NULL);
  kernel.written = g_byte_array_new();
  kernel.failing = 0;
  return 0;
}

static int tear_down(void **state) {
  g_string_free(kernel.calls, TRUE);
  g_byte_array_unref(kernel.written);
  return 0;
}

/* All bytes first, then what they count for, then the numbers that are given out depend on them. */
static void test_order(void **state) {
  static const guint8 bytes[] = {7, 0, 255, 1, 2};
  g_autoptr(GError) error = NULL;
  assert_true(entropy_add(bytes, sizeof bytes, &error));
  assert_string_equal(kernel.calls->str, "write write credit 40 reseed ");
  assert_int_equal(kernel.written->len, sizeof bytes);
  assert_memory_equal(kernel.written->data, bytes, sizeof bytes);
}

static void test_sizes(void **state) {
  g_autofree guint8 *bytes = g_malloc0(ENTROPY_MAX + 1);
  g_autoptr(GError) none = NULL;
  g_autoptr(GError) more = NULL;
  assert_true(entropy_add(bytes, ENTROPY_MAX, NULL));
  assert_non_null(strstr(kernel.calls->str, "credit 524288 reseed "));
  g_string_set_size(kernel.calls, 0);
  assert_false(entropy_add(bytes, 0, &none));
  assert_false(entropy_add(bytes, ENTROPY_MAX + 1, &more));
  assert_int_equal(error_get_code(none), KATA_ERR_INVALID_ARGUMENT);
  assert_int_equal(error_get_code(more), KATA_ERR_INVALID_ARGUMENT);
  assert_string_equal(kernel.calls->str, "");
}

static void test_refusals(void **state) {
  static const unsigned long requests[] = {RNDADDTOENTCNT, RNDRESEEDCRNG};
  for (gsize i = 0; i < G_N_ELEMENTS(requests); i++) {
    g_autoptr(GError) error = NULL;
    kernel.failing = requests[i];
    assert_false(entropy_add("x", 1, &error));
    assert_non_null(strstr(error->message, "cannot reseed '/dev/random': Operation not permitted"));
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_order, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_sizes, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_refusals, set_up, tear_down),
  };
  return cmocka_run_group_tests_name("agent-entropy", tests, NULL, NULL);
}
