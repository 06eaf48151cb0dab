// SPDX-License-Identifier: LGPL-2.1-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/error.h"
#include "lib/settings-file.h"
#include "lib/settings-table.h"
#include "lib/settings-value.h"
#include "lib/settings.h"

#define QEMU "hypervisor.qemu"

static gboolean load(kata_settings *settings, const char *text, GError **error) {
  return settings_load_text(settings, text, strlen(text), "kata.conf", error);
}

static void the_table_is_sound(void **state) {
  for (gsize i = 0; i < n_setting_keys; i++) {
    const SettingKey *key = &setting_keys[i];
    SettingValue value = {0};
    g_autoptr(GError) error = NULL;
    assert_true(setting_value_parse(key, key->preset, &value, &error));
    assert_int_equal(setting_find(key->section, key->key), (int)i); /* no key is there twice */
    assert_true(g_str_has_suffix(key->doc, "."));
    assert_true(key->words == NULL || key->type == SETTING_STRING);
    assert_true(key->type != SETTING_NUMBER || key->min < key->max);
    /* Sections are not mixed: to_text() writes each once. */
    if (i > 0 && strcmp(key->section, setting_keys[i - 1].section) != 0)
      for (gsize j = 0; j < i; j++) assert_string_not_equal(key->section, setting_keys[j].section);
    setting_value_clear(&value);
  }
}

static void a_file_sets_what_it_names(void **state) {
  g_autoptr(kata_settings) settings = settings_new();
  g_autoptr(GError) error = NULL;
  assert_true(load(settings,
                   "# a comment\r\n"
                   "\n"
                   "[hypervisor.qemu]\r\n"
                   "default_vcpus = 4   # as many as the host\n"
                   "  default_memory=512\n"
                   "kernel_params = \"a=1 b=\\\"x y\\\" # no comment\"\r\n"
                   "accelerator = \"tcg\"\n"
                   "virtio_fs_extra_args = [\"--thread-pool-size=1\", \"-o\"]\n"
                   "[agent.kata]\n"
                   "enable_debug = true\n",
                   &error));
  assert_int_equal(settings_get_int(settings, QEMU, "default_vcpus"), 4);
  assert_int_equal(settings_get_int(settings, QEMU, "default_memory"), 512);
  assert_string_equal(settings_get_string(settings, QEMU, "kernel_params"), "a=1 b=\"x y\" # no comment");
  assert_int_equal(settings_get_accelerator(settings), ACCELERATOR_TCG);
  assert_true(settings_get_bool(settings, "agent.kata", "enable_debug"));
  const char *const *list = settings_get_strv(settings, QEMU, "virtio_fs_extra_args");
  assert_string_equal(list[0], "--thread-pool-size=1");
  assert_string_equal(list[1], "-o");
  assert_null(list[2]);
  /* What it does not name stays. */
  assert_false(settings_get_bool(settings, "runtime", "enable_debug"));
  assert_int_equal(settings_get_channel(settings), CHANNEL_SERIAL);
}

/* A machine with a vsock device cannot be saved. */
static void saved_guests_are_reached_by_the_port(void **state) {
  static const struct {
    const char *text;
    AgentChannel channel;
  } cases[] = {
      {"[factory]\nenable_template = true\n", CHANNEL_SERIAL},
      {"[factory]\nenable_template = false\nvm_cache_number = 1\n", CHANNEL_SERIAL},
      {"[factory]\nenable_template = false\n", CHANNEL_AUTO},
      {"[hypervisor.qemu]\nagent_channel = \"vsock\"\n[factory]\nenable_template = true\n", CHANNEL_VSOCK},
  };
  for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autoptr(kata_settings) settings = settings_new();
    assert_true(load(settings, cases[i].text, NULL));
    assert_int_equal(settings_get_channel(settings), cases[i].channel);
  }
}

static void an_empty_file_is_legal(void **state) {
  g_autoptr(kata_settings) settings = settings_new();
  assert_true(load(settings, "", NULL));
  assert_true(load(settings, "\n# nothing\n\n", NULL));
  assert_true(load(settings, "[runtime]\n", NULL));
  g_autofree char *text = settings_to_text(settings);
  assert_string_equal(text, "");
}

static void errors_name_file_line_and_what_is_allowed(void **state) {
  static const struct {
    const char *text;
    const char *message;
  } wrong[] = {
      {"[hypervisor.qemu]\n\ndefault_vcpu = 1\n",
       "kata.conf:3: no key 'default_vcpu' in section [hypervisor.qemu], did you mean 'default_vcpus'"},
      {"[hypervisor.qemu]\nfloppy_drive_count = 2\n",
       "kata.conf:2: no key 'floppy_drive_count' in section [hypervisor.qemu]"},
      {"[hypervisor.qemu]\nconfidential_guest = true\n",
       "kata.conf:2: 'confidential_guest' can only be false here: memory is not encrypted"},
      {"[hypervisor.quemu]\npath = \"/x\"\n",
       "kata.conf:2: key 'path' in unknown section [hypervisor.quemu], did you mean 'hypervisor.qemu'"},
      {"[hypervisor.qemu]\ndefault_vcpus = 241\n",
       "kata.conf:2: the value is '241', but 'default_vcpus' takes a whole number from -1 to 240"},
      {"[hypervisor.qemu]\ndefault_vcpus = 99999999999999999999\n",
       "kata.conf:2: the value is '99999999999999999999', but 'default_vcpus' takes a whole number from -1 to 240"},
      {"[hypervisor.qemu]\ndefault_vcpus = 1.5\n",
       "kata.conf:2: the value is '1.5', but 'default_vcpus' takes a whole number from -1 to 240"},
      {"[hypervisor.qemu]\ndefault_vcpus = \"4\"\n",
       "kata.conf:2: the value is '\"4\"', but 'default_vcpus' takes a whole number from -1 to 240"},
      {"[hypervisor.qemu]\naccelerator = \"xen\"\n",
       "kata.conf:2: the value is '\"xen\"', but 'accelerator' takes one of \"auto\", \"kvm\", \"tcg\""},
      {"[hypervisor.qemu]\naccelerator = tcg\n",
       "kata.conf:2: the value is 'tcg', but 'accelerator' takes one of \"auto\", \"kvm\", \"tcg\""},
      {"[hypervisor.qemu]\nkernel = \"vmlinuz\"\n",
       "kata.conf:2: the value is '\"vmlinuz\"', but 'kernel' takes an absolute path in double quotes"},
      {"[runtime]\nenable_debug = yes\n", "kata.conf:2: the value is 'yes', but 'enable_debug' takes true or false"},
      {"[runtime]\nenable_debug = 1\n", "kata.conf:2: the value is '1', but 'enable_debug' takes true or false"},
      {"[runtime]\nenable_debug =\n", "kata.conf:2: the value is '', but 'enable_debug' takes true or false"},
      {"[runtime]\nenable_debug = null\n", "kata.conf:2: the value is 'null', but 'enable_debug' takes true or false"},
      {"[runtime]\nenable_debug = true false\n",
       "kata.conf:2: the value is 'true false', but 'enable_debug' takes true or false"},
      {"[hypervisor.qemu]\nvirtio_fs_extra_args = [\"a\", 1]\n",
       "kata.conf:2: the value is '[\"a\", 1]', but 'virtio_fs_extra_args' takes a list of texts on one line, such as "
       "[\"a\", \"b\"]"},
      {"[hypervisor.qemu]\nvirtio_fs_extra_args = [\"a\", [\"b\"]]\n",
       "kata.conf:2: the value is '[\"a\", [\"b\"]]', but 'virtio_fs_extra_args' takes a list of texts on one line, "
       "such as [\"a\", \"b\"]"},
      {"[hypervisor.qemu]\nvirtio_fs_extra_args = [\n  \"a\"\n]\n",
       "kata.conf:3: neither a section, nor 'key = value', nor a comment (a value stands on one line)"},
      {"[hypervisor.qemu]\nkernel_params = \"a\\nb\"\n",
       "kata.conf:2: the value is '\"a\\nb\"', but 'kernel_params' takes text in double quotes"},
      {"[hypervisor.qemu]\nkernel_params = \"a\\u0000b\"\n",
       "kata.conf:2: the value is '\"a\\u0000b\"', but 'kernel_params' takes text in double quotes"},
      {"[hypervisor.qemu]\nkernel_params = \"a\n",
       "kata.conf:2: the value is '\"a', but 'kernel_params' takes text in "
       "double quotes"},
      {"default_vcpus = 1\n", "kata.conf:1: a key before the first section"},
      {"[runtime]\nnonsense\n",
       "kata.conf:2: neither a section, nor 'key = value', nor a comment (a value stands on one line)"},
      {"[runtime\n", "kata.conf:1: a section is written [name], alone on its line"},
      {"[runtime] enable_debug = true\n", "kata.conf:1: a section is written [name], alone on its line"},
      {"[runtime]\nenable_debug = true\nenable_debug = false\n",
       "kata.conf:3: key 'enable_debug' is there twice, first on line 2"},
      {"[runtime]\n[agent.kata]\n[runtime]\n", "kata.conf:3: section 'runtime' is there twice, first on line 1"},
      {"[runtime]\nenable_debug = \xff\n", "kata.conf: not UTF-8 text"},
  };
  for (gsize i = 0; i < G_N_ELEMENTS(wrong); i++) {
    g_autoptr(kata_settings) settings = settings_new();
    g_autoptr(GError) error = NULL;
    assert_false(load(settings, wrong[i].text, &error));
    assert_non_null(error);
    assert_string_equal(error->message, wrong[i].message);
    assert_int_equal(error_get_code(error), KATA_ERR_CONFIG);
  }
}

static void a_nul_byte_is_refused(void **state) {
  g_autoptr(kata_settings) settings = settings_new();
  g_autoptr(GError) error = NULL;
  const char text[] = "[runtime]\nenable_debug = true\0\n";
  assert_false(settings_load_text(settings, text, sizeof text - 1, "kata.conf", &error));
  assert_string_equal(error->message, "kata.conf: not UTF-8 text");
}

static void a_failed_load_changes_nothing(void **state) {
  g_autoptr(kata_settings) settings = settings_new();
  assert_true(load(settings, "[hypervisor.qemu]\ndefault_vcpus = 2\n", NULL));
  assert_false(load(settings, "[hypervisor.qemu]\ndefault_vcpus = 3\ndefault_memory = 1\n", NULL));
  assert_int_equal(settings_get_int(settings, QEMU, "default_vcpus"), 2);
  assert_false(settings_set(settings, QEMU, "default_vcpus", "many", NULL));
  assert_int_equal(settings_get_int(settings, QEMU, "default_vcpus"), 2);
}

static void sizes_are_limited(void **state) {
  g_autoptr(kata_settings) settings = settings_new();
  g_autoptr(GError) error = NULL;
  g_autofree char *large = g_strnfill(SETTINGS_FILE_LIMIT + 1, '\n');
  assert_false(load(settings, large, &error));
  assert_string_equal(error->message, "kata.conf: longer than 1048576 bytes");

  g_autofree char *words = g_strnfill(SETTING_TEXT_MAX + 1, 'a');
  g_autofree char *quoted = g_strdup_printf("\"%s\"", words);
  assert_false(settings_set(settings, QEMU, "kernel_params", quoted, NULL));
  quoted[SETTING_TEXT_MAX + 1] = '"';
  quoted[SETTING_TEXT_MAX + 2] = '\0';
  assert_true(settings_set(settings, QEMU, "kernel_params", quoted, NULL));

  g_autoptr(GString) list = g_string_new("[\"a\"");
  for (int i = 0; i < SETTING_LIST_MAX - 1; i++) g_string_append(list, ",\"a\"");
  g_autofree char *fits = g_strconcat(list->str, "]", NULL), *too_long = g_strconcat(list->str, ",\"a\"]", NULL);
  assert_true(settings_set(settings, "agent.kata", "kernel_modules", fits, NULL));
  assert_false(settings_set(settings, "agent.kata", "kernel_modules", too_long, NULL));
}

static void long_values_are_cut_in_errors(void **state) {
  g_autoptr(kata_settings) settings = settings_new();
  g_autoptr(GError) error = NULL;
  /* The cut falls into a two-byte character. */
  assert_false(settings_set(settings, QEMU, "default_vcpus",
                            "\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\u00e9\u00e9\u00e9\"",
                            &error));
  assert_true(g_utf8_validate(error->message, -1, NULL));
  assert_true(strlen(error->message) < 200);
}

static void text_can_be_read_again(void **state) {
  g_autoptr(kata_settings) first = settings_new(), second = settings_new();
  assert_true(settings_set(first, QEMU, "kernel_params", "\"a=\\\"b\\\\c\\\" \\u00e9 # x\"", NULL));
  assert_true(settings_set(first, QEMU, "virtio_fs_extra_args", "[\"/a\", \"\"]", NULL));
  assert_true(settings_set(first, QEMU, "default_vcpus", "1", NULL)); /* named, though it is the default */
  assert_true(settings_set(first, "runtime", "enable_debug", "true", NULL));
  g_autofree char *text = settings_to_text(first);
  assert_string_equal(text,
                      "[hypervisor.qemu]\n"
                      "kernel_params = \"a=\\\"b\\\\c\\\" \u00e9 # x\"\n"
                      "default_vcpus = 1\n"
                      "virtio_fs_extra_args = [\"/a\",\"\"]\n"
                      "\n"
                      "[runtime]\n"
                      "enable_debug = true\n");
  assert_true(load(second, text, NULL));
  g_autofree char *again = settings_to_text(second);
  assert_string_equal(again, text);
}

static void upstream_keys_without_effect_are_kept_for_a_warning(void **state) {
  g_autoptr(kata_settings) first = settings_new(), second = settings_new();
  assert_true(load(first,
                   "[hypervisor.clh]\npath = x y\n[hypervisor.qemu]\nmsize_9p = 1\ndefault_vcpus = 2\n"
                   "[agent.kata.mem_agent]\nany = []\n[hypervisor.firecracker]\n",
                   NULL));
  assert_true(load(first, "[hypervisor.qemu]\nmsize_9p = 2\n", NULL));
  g_autoptr(kata_settings) copy = settings_copy(first);
  GPtrArray *ignored = settings_get_ignored(copy);
  assert_int_equal(ignored->len, 3);
  g_autofree char *text = settings_to_text(copy);
  assert_string_equal(text,
                      "[hypervisor.qemu]\ndefault_vcpus = 2\nmsize_9p = 2\n\n"
                      "[hypervisor.clh]\npath = x y\n\n[agent.kata.mem_agent]\nany = []\n");
  assert_true(load(second, text, NULL));
  assert_int_equal(settings_get_ignored(second)->len, 3);
  /* A program that names such a key itself is told. */
  assert_false(settings_set(second, QEMU, "msize_9p", "1", NULL));
}

static void a_copy_stands_alone(void **state) {
  g_autoptr(kata_settings) first = settings_new();
  assert_true(settings_set(first, QEMU, "accelerator", "\"kvm\"", NULL));
  g_autoptr(kata_settings) second = settings_copy(first);
  assert_true(settings_set(second, QEMU, "accelerator", "\"tcg\"", NULL));
  assert_int_equal(settings_get_accelerator(first), ACCELERATOR_KVM);
  assert_int_equal(settings_get_accelerator(second), ACCELERATOR_TCG);
}

static void write_file(const char *folder, const char *name, const char *text) {
  g_autofree char *path = g_build_filename(folder, name, NULL);
  assert_true(g_file_set_contents(path, text, -1, NULL));
}

static int make_folder(void **state) {
  *state = g_dir_make_tmp("kata-settings-XXXXXX", NULL);
  return *state == NULL ? -1 : 0;
}

static int remove_folder(void **state) {
  /* Not our own removal: valgrind does not know openat2(2). */
  char *argv[] = {(char *)"rm", (char *)"-r", *state, NULL};
  int status = -1;
  gboolean ran = g_spawn_sync(NULL, argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL, NULL, &status, NULL);
  g_free(*state);
  return ran && status == 0 ? 0 : -1;
}

static void drop_ins_follow_by_name(void **state) {
  const char *folder = *state;
  g_autofree char *conf = g_build_filename(folder, "kata.conf", NULL);
  g_autofree char *drop_ins = g_build_filename(folder, "conf.d", NULL);
  assert_int_equal(mkdir(drop_ins, 0755), 0);
  write_file(folder, "kata.conf", "[hypervisor.qemu]\ndefault_vcpus = 2\ndefault_memory = 128\n");
  write_file(drop_ins, "20-more.conf", "[hypervisor.qemu]\ndefault_vcpus = 4\n");
  write_file(drop_ins, "10-less.conf", "[hypervisor.qemu]\ndefault_vcpus = 3\ndefault_maxvcpus = 8\n");
  write_file(drop_ins, "30-not-read.txt", "[hypervisor.qemu]\ndefault_vcpus = 5\n");
  g_autoptr(kata_settings) settings = settings_new();
  assert_true(settings_load_default(settings, conf, TRUE, NULL));
  assert_int_equal(settings_get_int(settings, QEMU, "default_vcpus"), 4);
  assert_int_equal(settings_get_int(settings, QEMU, "default_maxvcpus"), 8);
  assert_int_equal(settings_get_int(settings, QEMU, "default_memory"), 128);
  assert_true(g_str_has_suffix(settings_get_source(settings, QEMU, "default_vcpus"), "/conf.d/20-more.conf:2"));
  assert_true(g_str_has_suffix(settings_get_source(settings, QEMU, "default_maxvcpus"), "/conf.d/10-less.conf:3"));
  assert_true(g_str_has_suffix(settings_get_source(settings, QEMU, "default_memory"), "/kata.conf:3"));
  assert_string_equal(settings_get_source(settings, QEMU, "accelerator"), "default");
  assert_true(settings_set(settings, QEMU, "default_vcpus", "5", NULL));
  assert_string_equal(settings_get_source(settings, QEMU, "default_vcpus"), "caller");

  write_file(drop_ins, "40-wrong.conf", "[hypervisor.qemu]\ndefault_vcpus = x\n");
  g_autoptr(kata_settings) untouched = settings_new();
  g_autoptr(GError) error = NULL;
  assert_false(settings_load_default(untouched, conf, TRUE, &error));
  assert_non_null(strstr(error->message, "/conf.d/40-wrong.conf:2: "));
  assert_int_equal(settings_get_int(untouched, QEMU, "default_vcpus"), 1);
}

static void a_missing_file_matters_only_if_it_was_asked_for(void **state) {
  g_autofree char *conf = g_build_filename(*state, "none.conf", NULL);
  g_autoptr(kata_settings) settings = settings_new();
  assert_true(settings_load_default(settings, conf, FALSE, NULL));
  g_autoptr(GError) error = NULL;
  assert_false(settings_load_default(settings, conf, TRUE, &error));
  assert_int_equal(error_get_code(error), KATA_ERR_NOT_FOUND);
  assert_non_null(strstr(error->message, conf));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_table_is_sound),
      cmocka_unit_test(a_file_sets_what_it_names),
      cmocka_unit_test(saved_guests_are_reached_by_the_port),
      cmocka_unit_test(an_empty_file_is_legal),
      cmocka_unit_test(errors_name_file_line_and_what_is_allowed),
      cmocka_unit_test(a_nul_byte_is_refused),
      cmocka_unit_test(a_failed_load_changes_nothing),
      cmocka_unit_test(sizes_are_limited),
      cmocka_unit_test(long_values_are_cut_in_errors),
      cmocka_unit_test(text_can_be_read_again),
      cmocka_unit_test(upstream_keys_without_effect_are_kept_for_a_warning),
      cmocka_unit_test(a_copy_stands_alone),
      cmocka_unit_test_setup_teardown(drop_ins_follow_by_name, make_folder, remove_folder),
      cmocka_unit_test_setup_teardown(a_missing_file_matters_only_if_it_was_asked_for, make_folder, remove_folder),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
