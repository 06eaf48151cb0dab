/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The commands, each in a file of its own; main.c has the table. */
#pragma once

#include "app.h"

extern const Option agent_call_options[];
extern const Option agent_methods_options[];
extern const Option bench_options[];
extern const Option checkpoint_options[];
extern const Option create_options[];
extern const Option delete_options[];
extern const Option direct_volume_options[];
extern const Option direct_volume_add_options[];
extern const Option direct_volume_resize_options[];
extern const Option env_options[];
extern const Option events_options[];
extern const Option exec_options[];
extern const Option kill_options[];
extern const Option list_options[];
extern const Option ps_options[];
extern const Option restore_options[];
extern const Option run_options[];
extern const Option spec_options[];
extern const Option update_options[];
extern const Option xml_options[];

int cmd_agent_call(App *app, char **operands, GError **error);
int cmd_agent_methods(App *app, char **operands, GError **error);
int cmd_bench(App *app, char **operands, GError **error);
int cmd_boot_chart(App *app, char **operands, GError **error);
int cmd_check(App *app, char **operands, GError **error);
int cmd_checkpoint(App *app, char **operands, GError **error);
int cmd_config_check(App *app, char **operands, GError **error);
int cmd_create(App *app, char **operands, GError **error);
int cmd_delete(App *app, char **operands, GError **error);
int cmd_direct_volume_add(App *app, char **operands, GError **error);
int cmd_direct_volume_list(App *app, char **operands, GError **error);
int cmd_direct_volume_remove(App *app, char **operands, GError **error);
int cmd_direct_volume_resize(App *app, char **operands, GError **error);
int cmd_direct_volume_stats(App *app, char **operands, GError **error);
int cmd_env(App *app, char **operands, GError **error);
int cmd_events(App *app, char **operands, GError **error);
int cmd_exec(App *app, char **operands, GError **error);
int cmd_features(App *app, char **operands, GError **error);
int cmd_kata_overhead(App *app, char **operands, GError **error);
int cmd_kill(App *app, char **operands, GError **error);
int cmd_list(App *app, char **operands, GError **error);
int cmd_network_add_if(App *app, char **operands, GError **error);
int cmd_network_del_if(App *app, char **operands, GError **error);
int cmd_network_list_ifs(App *app, char **operands, GError **error);
int cmd_network_list_routes(App *app, char **operands, GError **error);
int cmd_network_update_routes(App *app, char **operands, GError **error);
int cmd_pause(App *app, char **operands, GError **error);
int cmd_ps(App *app, char **operands, GError **error);
int cmd_restore(App *app, char **operands, GError **error);
int cmd_resume(App *app, char **operands, GError **error);
int cmd_run(App *app, char **operands, GError **error);
int cmd_spec(App *app, char **operands, GError **error);
int cmd_start(App *app, char **operands, GError **error);
int cmd_state(App *app, char **operands, GError **error);
int cmd_update(App *app, char **operands, GError **error);
int cmd_pool_create(App *app, char **operands, GError **error);
int cmd_pool_list(App *app, char **operands, GError **error);
int cmd_pool_remove(App *app, char **operands, GError **error);
int cmd_template_create(App *app, char **operands, GError **error);
int cmd_template_list(App *app, char **operands, GError **error);
int cmd_template_remove(App *app, char **operands, GError **error);
int cmd_version(App *app, char **operands, GError **error);
int cmd_xml(App *app, char **operands, GError **error);
