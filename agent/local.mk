# SPDX-License-Identifier: LGPL-2.1-or-later
# The guest's PID 1; it runs from the guest image, never from the host's file system.
noinst_PROGRAMS += agent/kata-agent
agent_kata_agent_SOURCES = agent/main.c
agent_kata_agent_LDADD = agent/libagent.la

# All but main(), so that unit tests can link it.
noinst_LTLIBRARIES += agent/libagent.la
agent_libagent_la_SOURCES = \
	agent/config.c agent/config.h \
	agent/init.c agent/init.h \
	agent/modules.c agent/modules.h \
	agent/power.c agent/power.h \
	agent/service.c agent/service.h
agent_libagent_la_LIBADD = common/libcommon.la
