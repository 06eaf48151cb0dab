/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The agent protocol's methods by name, and JSON for their messages. */
#pragma once

#include <glib.h>
#include <protobuf-c/protobuf-c.h>

#include "kata/agent.h"

struct kata_agent_method {
  const ProtobufCServiceDescriptor *service;
  const ProtobufCMethodDescriptor *descriptor;
  char *name; /* AgentService.CreateContainer */
};

/* "AgentService.CreateContainer", "grpc.AgentService/CreateContainer", or "CreateContainer". */
const kata_agent_method *agent_method_find(const char *name, GError **error);

/* A request from its JSON; NULL is the empty one. */
ProtobufCMessage *agent_method_read_request(const kata_agent_method *method, const char *json, GError **error);

/* JSON of a reply, to be released with g_free(). */
char *agent_method_write_reply(const ProtobufCMessage *reply);
