// SPDX-License-Identifier: LGPL-2.1-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka.h wants the four above
#include <cmocka.h>
#include <glib.h>
#include <string.h>

#include "common/error.h"
#include "shim/rootfs-layers.h"

#define MOUNTS_MAX 8

/* "TYPE SOURCE OPTION;OPTION"... */
typedef struct {
  Containerd__Types__Mount mounts[MOUNTS_MAX];
  Containerd__Types__Mount *list[MOUNTS_MAX];
  char **words[MOUNTS_MAX];
  gsize n;
} Mounts;

static void mounts_set(Mounts *mounts, const char *const *texts) {
  for (mounts->n = 0; texts[mounts->n] != NULL; mounts->n++) {
    Containerd__Types__Mount *mount = &mounts->mounts[mounts->n];
    char **words = g_strsplit(texts[mounts->n], "|", -1);
    containerd__types__mount__init(mount);
    mount->type = words[0];
    mount->source = words[1];
    mount->options = words + 2;
    mount->n_options = g_strv_length(words) - 2;
    mounts->words[mounts->n] = words;
    mounts->list[mounts->n] = mount;
  }
}

static void mounts_clear(Mounts *mounts) {
  for (gsize i = 0; i < mounts->n; i++) g_strfreev(mounts->words[i]);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Mounts, mounts_clear)

static char *show_lowers(const RootfsLayers *layers) {
  GString *text = g_string_new(NULL);
  for (guint i = 0; i < layers->lowers->len; i++)
    g_string_append_printf(text, "%u ", g_array_index(layers->lowers, guint, i));
  return g_string_free(text, FALSE);
}

static void test_forms(void **state) {
  static const struct {
    const char *mounts[MOUNTS_MAX];
    const char *lowers, *upperdir, *options;
    int upper;
  } cases[] = {
      {{"erofs|/c", "erofs|/b", "erofs|/a", "format/mkdir/overlay|overlay|lowerdir={{ overlay 0 2 }}|index=off"},
       "0 1 2 ",
       NULL,
       "index=off",
       -1},
      {{"erofs|/a", "erofs|/b", "format/overlay|overlay|lowerdir={{ overlay 1 0 }}"}, "1 0 ", NULL, "", -1},
      {{"erofs|/a", "erofs|/b", "format/overlay|overlay|lowerdir={{mount 0}}:{{ mount  1}}"}, NULL, NULL, NULL, -1},
      {{"erofs|/a", "erofs|/b", "format/overlay|overlay|lowerdir={{mount 0}}:{{ mount 1}}"}, "0 1 ", NULL, "", -1},
      {{"erofs|/a", "format/mkdir/overlay|overlay|workdir=/host/work|upperdir=/host/fs|lowerdir={{ mount 0 }}"},
       "0 ",
       NULL,
       "",
       -1},
      {{"ext4|/rw|rw|loop", "erofs|/a",
        "format/mkdir/overlay|overlay|X-containerd.mkdir.path={{ mount 0 }}/upper:0755|workdir={{ mount 0 }}/work|"
        "upperdir={{ mount 0 }}/upper|lowerdir={{ mount 1 }}|userxattr|volatile"},
       "1 ",
       "upper",
       "userxattr,volatile",
       0},
      {{"erofs|/a", "format/bind|{{ mount 0 }}|ro|rbind"}, "0 ", NULL, "", -1},
  };
  for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_auto(Mounts) mounts = {0};
    g_autoptr(GError) error = NULL;
    mounts_set(&mounts, cases[i].mounts);
    assert_true(rootfs_layers_match(mounts.list, mounts.n));
    g_autoptr(RootfsLayers) layers = rootfs_layers_parse(mounts.list, mounts.n, &error);
    if (cases[i].lowers == NULL) {
      assert_null(layers);
      continue;
    }
    assert_non_null(layers);
    g_autofree char *lowers = show_lowers(layers), *options = g_strjoinv(",", layers->options);
    assert_string_equal(lowers, cases[i].lowers);
    assert_string_equal(options, cases[i].options);
    assert_int_equal(layers->upper, cases[i].upper);
    assert_true(g_strcmp0(layers->upperdir, cases[i].upperdir) == 0);
  }
}

static void test_refused(void **state) {
  static const struct {
    const char *mounts[MOUNTS_MAX];
    const char *words;
    int code;
  } cases[] = {
      {{"erofs|/a", "format/overlay|overlay|lowerdir={{ overlay 0 1 }}"},
       "mounts before it",
       KATA_ERR_INVALID_ARGUMENT},
      {{"erofs|/a", "format/overlay|overlay|lowerdir={{ mount -1 }}"}, "mounts before it", KATA_ERR_INVALID_ARGUMENT},
      {{"erofs|/a", "format/overlay|overlay|lowerdir={{ mount 0"}, "mounts before it", KATA_ERR_INVALID_ARGUMENT},
      {{"erofs|/a", "format/overlay|overlay|lowerdir={{ mount 0 }}:/host"},
       "mounts before it",
       KATA_ERR_INVALID_ARGUMENT},
      {{"erofs|/a", "format/overlay|overlay|lowerdir={{ mount 0 }}{{ mount 0 }}"},
       "mounts before it",
       KATA_ERR_INVALID_ARGUMENT},
      {{"erofs|/a", "format/overlay|overlay|index=off"}, "no lowerdir", KATA_ERR_INVALID_ARGUMENT},
      {{"erofs|/a", "format/overlay|overlay|lowerdir={{ mount 0 }}:{{ mount 0 }}"},
       "in two places",
       KATA_ERR_INVALID_ARGUMENT},
      {{"erofs|/b", "erofs|/a", "format/overlay|overlay|lowerdir={{ mount 0 }}"},
       "'/a': no layer",
       KATA_ERR_INVALID_ARGUMENT},
      {{"ext4|/w", "erofs|/a",
        "format/overlay|overlay|lowerdir={{ mount 1 }}|upperdir={{ mount 0 }}/../x|workdir={{ mount 0 }}/w"},
       "{{ mount N }}/NAME",
       KATA_ERR_INVALID_ARGUMENT},
      {{"ext4|/w", "erofs|/a", "format/overlay|overlay|lowerdir={{ mount 1 }}|upperdir={{ mount 0 }}/u"},
       "needs both",
       KATA_ERR_INVALID_ARGUMENT},
      {{"ext4|/w", "erofs|/a",
        "format/overlay|overlay|lowerdir={{ mount 1 }}|upperdir={{ mount 0 }}/u|workdir={{ mount 1 }}/w"},
       "of one mount",
       KATA_ERR_INVALID_ARGUMENT},
      {{"erofs|/a|device=/b", "format/bind|{{ mount 0 }}"}, "'device=/b'", KATA_ERR_UNSUPPORTED},
      {{"erofs|/a|X-containerd.dmverity=/a.dmverity", "format/bind|{{ mount 0 }}"},
       "does not verify",
       KATA_ERR_UNSUPPORTED},
      {{"erofs|/a", "format/overlay|overlay|lowerdir={{ mount 0 }}|uidmap=0:1000:1"},
       "user namespaces",
       KATA_ERR_UNSUPPORTED},
      {{"erofs|relative", "format/bind|{{ mount 0 }}"}, "'relative'", KATA_ERR_UNSUPPORTED},
      {{"erofs|/a", "format/tmpfs|{{ mount 0 }}"}, "'format/tmpfs'", KATA_ERR_UNSUPPORTED},
      {{"format/bind|/a"}, "mounts before it", KATA_ERR_INVALID_ARGUMENT},
  };
  for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_auto(Mounts) mounts = {0};
    g_autoptr(GError) error = NULL;
    mounts_set(&mounts, cases[i].mounts);
    assert_null(rootfs_layers_parse(mounts.list, mounts.n, &error));
    assert_true(g_error_matches(error, KATA_ERROR, cases[i].code));
    if (strstr(error->message, cases[i].words) == NULL) fail_msg("case %zu: %s", i, error->message);
  }
}

static void test_others(void **state) {
  static const char *const plain[] = {"erofs|/a", "overlay|overlay|lowerdir=/a:/b", NULL};
  g_auto(Mounts) mounts = {0};
  mounts_set(&mounts, plain);
  assert_false(rootfs_layers_match(mounts.list, 0));
  assert_false(rootfs_layers_match(mounts.list, 1));
  assert_false(rootfs_layers_match(mounts.list, 2));
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_forms), cmocka_unit_test(test_refused),
                                     cmocka_unit_test(test_others)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
