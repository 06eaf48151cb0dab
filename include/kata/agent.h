/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Agent client: speaks to any Kata agent (Kata Containers' agent protocol over ttRPC). */
#ifndef KATA_AGENT_H
#define KATA_AGENT_H

#include <kata/error.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * kata_agent: a connection to an agent.
 * Thread rule: any number of threads may call at once; not to be used after fork(). Since: 0.1
 */
typedef struct kata_agent kata_agent;

/**
 * kata_agent_connect: connects.
 * @address: vsock://CID:PORT, unix:///PATH, or hvsock:///PATH:PORT (the CONNECT line of Firecracker
 * and Cloud Hypervisor); upstream's agent listens on vsock port 1024.
 * @timeout_ms: how long to try, in milliseconds; 0: once.
 * @flags: 0.
 * Returns: a connection to be released with kata_agent_unref(), or NULL.
 * Errors: KATA_ERR_INVALID_ARGUMENT for another form of address, KATA_ERR_UNAVAILABLE when nobody
 * listens there. Since: 0.1
 */
kata_agent *kata_agent_connect(const char *address, uint32_t timeout_ms, uint32_t flags, kata_error **err);

/** kata_agent_ref: one more holder. Returns @agent. Since: 0.1 */
kata_agent *kata_agent_ref(kata_agent *agent);

/** kata_agent_unref: one holder less; the last one closes. @agent: may be NULL. Since: 0.1 */
void kata_agent_unref(kata_agent *agent);

/**
 * kata_agent_call: one call. Request and reply hold at most 4 MiB each on the wire (containerd's ttRPC,
 * messageLengthMax).
 * @method: "AgentService.CreateContainer", "Health.Check" and so on; the method's name alone will do.
 * @request_json: the request in protobuf's JSON mapping (names in lowerCamelCase or as in the .proto files, bytes as
 * base64, 64-bit numbers as numbers or strings, enums by name); NULL: empty.
 * @timeout_ms: in milliseconds, also told to the agent; 0: no limit.
 * @flags: 0.
 * @ret_reply_json: the reply in the same mapping (lowerCamelCase, 64-bit numbers as strings), to be released with
 * kata_free(); may be NULL.
 * Returns: 0 or -1.
 * Errors: KATA_ERR_INVALID_ARGUMENT naming the wrong member, KATA_ERR_NOT_FOUND for an unknown method,
 * KATA_ERR_TIMEOUT, KATA_ERR_UNAVAILABLE, and what the agent answered. Since: 0.1
 */
int kata_agent_call(kata_agent *agent, const char *method, const char *request_json, uint32_t timeout_ms,
                    uint32_t flags, char **ret_reply_json, kata_error **err);

/** kata_agent_method: one method of the protocol; static, never released. Any thread, also after fork(). Since: 0.1 */
typedef struct kata_agent_method kata_agent_method;

/**
 * kata_agent_method_next: the methods of AgentService and of Health, in the order of the .proto files.
 * @previous: NULL for the first.
 * Returns: a method, or NULL after the last. Since: 0.1
 */
const kata_agent_method *kata_agent_method_next(const kata_agent_method *previous);

/** kata_agent_method_get_name: Returns: such as "AgentService.CreateContainer", for kata_agent_call(). Since: 0.1 */
const char *kata_agent_method_get_name(const kata_agent_method *method);

/** kata_agent_method_get_request_type: Returns: such as "grpc.CreateContainerRequest". Since: 0.1 */
const char *kata_agent_method_get_request_type(const kata_agent_method *method);

/** kata_agent_method_get_reply_type: Returns: such as "google.protobuf.Empty". Since: 0.1 */
const char *kata_agent_method_get_reply_type(const kata_agent_method *method);

/**
 * kata_agent_describe_message: the fields of a message.
 * @type: its full name, such as "grpc.Storage"; any message that a method of the protocol takes, gives or holds.
 * @flags: 0.
 * Returns: JSON, {"message": NAME, "fields": [{"name", "protoName", "number", "type"} ...]}, to be released with
 * kata_free(), or NULL. "type" is a scalar of the .proto language or the full name of a message or enum; "repeated",
 * "hasPresence" (0 differs from absent), "mapKey" (the type of a map's keys) and "values" (an enum's names) where they
 * apply.
 * Errors: KATA_ERR_NOT_FOUND for an unknown message. Since: 0.1
 */
char *kata_agent_describe_message(const char *type, uint32_t flags, kata_error **err);

/**
 * kata_agent_make_template: a message with all its members at their defaults, to be filled in by hand. Lists and maps
 * have one entry, of a oneof the first member is there.
 * @type: as for kata_agent_describe_message().
 * @flags: 0.
 * Returns: JSON to be released with kata_free(), or NULL. Errors: KATA_ERR_NOT_FOUND. Since: 0.1
 */
char *kata_agent_make_template(const char *type, uint32_t flags, kata_error **err);

#ifdef __cplusplus
}
#endif

#endif
