# SPDX-License-Identifier: LGPL-2.1-or-later
# All but main(): what the unit tests link as well.
noinst_LTLIBRARIES += katactl/libkatactl.la
katactl_libkatactl_la_SOURCES = \
	katactl/activation.c katactl/activation.h \
	katactl/app.c katactl/app.h \
	katactl/attend.c katactl/attend.h \
	katactl/bench-floor.c katactl/bench-floor.h katactl/bench-measure.c katactl/bench-measure.h \
	katactl/bench-place.c katactl/bench-place.h katactl/bench-samples.c katactl/bench-samples.h \
	katactl/boot-chart.c katactl/boot-chart.h \
	katactl/cmd-agent.c katactl/cmd-bench.c katactl/cmd-boot-chart.c \
	katactl/cmd-check.c katactl/cmd-checkpoint.c katactl/cmd-config.c katactl/cmd-create.c katactl/cmd-delete.c katactl/cmd-direct-volume.c katactl/cmd-env.c katactl/cmd-events.c katactl/cmd-exec.c \
	katactl/cmd-features.c katactl/cmd-kata-overhead.c katactl/cmd-kill.c katactl/cmd-list.c katactl/cmd-network.c katactl/cmd-pause.c katactl/cmd-ps.c \
	katactl/cmd-run.c katactl/cmd-spec.c katactl/cmd-start.c katactl/cmd-state.c katactl/cmd-update.c \
	katactl/cmd-pool.c katactl/cmd-template.c katactl/cmd-version.c \
	katactl/cmd-xml.c katactl/commands.h \
	katactl/console.c katactl/console.h \
	katactl/duration.c katactl/duration.h \
	katactl/guest-assets.c katactl/guest-assets.h \
	katactl/guest-settings.c katactl/guest-settings.h \
	katactl/launch.c katactl/launch.h \
	katactl/monitor.c katactl/monitor.h \
	katactl/netns.c katactl/netns.h \
	katactl/options.c katactl/options.h \
	katactl/pid-file.c katactl/pid-file.h \
	katactl/pod.c katactl/pod.h \
	katactl/process-json.c katactl/process-json.h \
	katactl/process-table.c katactl/process-table.h \
	katactl/resources-json.c katactl/resources-json.h \
	katactl/signals.c katactl/signals.h \
	katactl/state-json.c katactl/state-json.h \
	katactl/stats-json.c katactl/stats-json.h \
	katactl/streams.c katactl/streams.h \
	katactl/subject.c katactl/subject.h \
	katactl/view.c katactl/view.h
# Log lines know where they come from.
katactl_libkatactl_la_CPPFLAGS = $(AM_CPPFLAGS) -DG_LOG_USE_STRUCTURED
bin_PROGRAMS += katactl/katactl
katactl_katactl_SOURCES = katactl/main.c
katactl_katactl_LDADD = katactl/libkatactl.la lib/libkata.la common/libcommon.la $(GLIB_LIBS) $(JSON_LIBS)
