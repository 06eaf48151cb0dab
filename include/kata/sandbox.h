/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sandboxes: virtual machines that hold containers. */
#ifndef KATA_SANDBOX_H
#define KATA_SANDBOX_H

#include <kata/context.h>
#include <kata/error.h>
#include <kata/settings.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * kata_sandbox: a handle to one sandbox. The virtual machine lives in a process of its own (its
 * owner); a handle only names it, so any number of processes may hold one, and it survives fork().
 * Releasing the handle leaves the sandbox as it is.
 * Thread rule: any thread, several at once; no call blocks another one. Since: 0.1
 */
typedef struct kata_sandbox kata_sandbox;

/** kata_sandbox_status: where a sandbox is in its life. Values never change. Since: 0.1 */
typedef enum kata_sandbox_status {
  KATA_SANDBOX_CREATED = 1, /* there is an owner, no virtual machine yet */
  KATA_SANDBOX_RUNNING = 2, /* the guest answers */
  KATA_SANDBOX_STOPPED = 3, /* the virtual machine has ended */
  KATA_SANDBOX_PAUSED = 4   /* the virtual machine stands still */
} kata_sandbox_status;

/**
 * KATA_SANDBOX_CREATE_BOUND: the sandbox is removed by itself when it has no container and the calling process has
 * ended, however it ended: at once before the first container, some seconds after the last one. Since: 0.1
 */
#define KATA_SANDBOX_CREATE_BOUND (1u << 0)

/**
 * kata_sandbox_create: starts a sandbox's owner; the virtual machine starts with
 * kata_sandbox_start() or with the first container.
 * @ctx: the context; the handle holds it.
 * @id: 1 to 128 characters out of A-Z a-z 0-9 _ + . -, unique below the context's root.
 * @settings: set over those of the context's settings file, or NULL.
 * @flags: 0 or KATA_SANDBOX_CREATE_BOUND.
 * Returns: a handle to be released with kata_sandbox_unref(), or NULL and nothing is left.
 * Errors: KATA_ERR_ALREADY_EXISTS, KATA_ERR_CONFIG, KATA_ERR_HOST (what is missing, and what to do),
 * KATA_ERR_INVALID_ARGUMENT. Since: 0.1
 */
kata_sandbox *kata_sandbox_create(kata_context *ctx, const char *id, const kata_settings *settings, uint32_t flags,
                                  kata_error **err);

/**
 * kata_sandbox_open: a handle to a sandbox that exists. If its owner was killed and its virtual
 * machine still runs, a new owner takes it over; so does every other call that finds no owner.
 * @id: the sandbox's.
 * @flags: 0.
 * Returns: a handle to be released with kata_sandbox_unref(), or NULL.
 * Errors: KATA_ERR_NOT_FOUND, also when its virtual machine has ended together with its owner: then what was left
 * of it is removed. Since: 0.1
 */
kata_sandbox *kata_sandbox_open(kata_context *ctx, const char *id, uint32_t flags, kata_error **err);

/** kata_sandbox_ref: one more holder. Returns @sandbox. Since: 0.1 */
kata_sandbox *kata_sandbox_ref(kata_sandbox *sandbox);

/** kata_sandbox_unref: one holder less. @sandbox: may be NULL. Since: 0.1 */
void kata_sandbox_unref(kata_sandbox *sandbox);

/** kata_sandbox_get_id: Returns: text owned by the handle. Since: 0.1 */
const char *kata_sandbox_get_id(const kata_sandbox *sandbox);

/**
 * kata_sandbox_list: the ids of all sandboxes below the context's root, sorted by their bytes.
 * @flags: 0.
 * Returns: a NULL-terminated array to be released with kata_strv_free(), or NULL. Since: 0.1
 */
char **kata_sandbox_list(kata_context *ctx, uint32_t flags, kata_error **err);

/**
 * kata_sandbox_set_netns: chooses the network namespace whose interfaces the guest is connected to: each appears in
 * the guest with its name, addresses, MTU and routes. Comes before the start and before the first container, whose
 * config.json chooses otherwise (linux.namespaces, type "network"); a sandbox for which nobody chooses has only a
 * loopback device.
 * @path: of the namespace as the caller sees it, such as "/run/netns/NAME" or "/proc/PID/ns/net"; absolute.
 * @flags: 0.
 * Returns: 0, also when it was chosen before, or -1.
 * Errors: KATA_ERR_INVALID_ARGUMENT when it is no network namespace or another one was chosen; KATA_ERR_UNSUPPORTED for
 * the host's own; KATA_ERR_NOT_FOUND. Since: 0.1
 */
int kata_sandbox_set_netns(kata_sandbox *sandbox, const char *path, uint32_t flags, kata_error **err);

/**
 * kata_sandbox_find_netns: which sandbox's guest is connected to a network namespace.
 * @path: as for kata_sandbox_set_netns().
 * @flags: 0.
 * Returns: the sandbox's id, to be released with kata_free(), or NULL.
 * Errors: KATA_ERR_NOT_FOUND, for the namespace as well as for the sandbox. Since: 0.1
 */
char *kata_sandbox_find_netns(kata_context *ctx, const char *path, uint32_t flags, kata_error **err);

/**
 * kata_sandbox_start: boots the virtual machine and waits until its agent answers, at most as
 * long as the setting dial_timeout says.
 * @flags: 0.
 * Returns: 0 or -1.
 * Errors: KATA_ERR_INVALID_STATE when it has been started before; KATA_ERR_HOST; KATA_ERR_GUEST and
 * KATA_ERR_TIMEOUT with the guest's last console lines as the detail. After an error nothing
 * of the sandbox is left. Since: 0.1
 */
int kata_sandbox_start(kata_sandbox *sandbox, uint32_t flags, kata_error **err);

/**
 * kata_sandbox_stop: ends the virtual machine, killing what runs in it. A stopped sandbox: success.
 * @timeout_ms: how long the guest may take to power off by itself before it is killed, in milliseconds
 * rounded up to seconds; 0: killed at once.
 * @flags: 0.
 * Returns: 0 or -1. Errors: KATA_ERR_NOT_FOUND. Since: 0.1
 */
int kata_sandbox_stop(kata_sandbox *sandbox, uint32_t timeout_ms, uint32_t flags, kata_error **err);

/** KATA_SANDBOX_DELETE_FORCE: stop it first if it runs. Since: 0.1 */
#define KATA_SANDBOX_DELETE_FORCE (1u << 0)

/**
 * kata_sandbox_delete: ends the owner and removes all that is on the host of the sandbox. The handle is
 * still to be released.
 * @flags: 0 or KATA_SANDBOX_DELETE_FORCE.
 * Returns: 0 once everything is gone, or -1.
 * Errors: KATA_ERR_INVALID_STATE while it runs, unless KATA_SANDBOX_DELETE_FORCE is set; KATA_ERR_NOT_FOUND;
 * KATA_ERR_TIMEOUT when something of it is still there after 30 s. Since: 0.1
 */
int kata_sandbox_delete(kata_sandbox *sandbox, uint32_t flags, kata_error **err);

/** kata_sandbox_get_status: Returns: a kata_sandbox_status, or -1. Errors: KATA_ERR_NOT_FOUND. Since: 0.1 */
int kata_sandbox_get_status(kata_sandbox *sandbox, kata_error **err);

/**
 * kata_sandbox_wait: waits until the virtual machine has ended.
 * @timeout_ms: in milliseconds; 0: no limit.
 * @flags: 0.
 * Returns: 0 or -1. Errors: KATA_ERR_TIMEOUT, KATA_ERR_NOT_FOUND. Since: 0.1
 */
int kata_sandbox_wait(kata_sandbox *sandbox, uint32_t timeout_ms, uint32_t flags, kata_error **err);

/**
 * kata_sandbox_get_domain_xml: the libvirt domain XML the guest was started from.
 * @flags: 0.
 * Returns: text to be released with kata_free(), or NULL.
 * Errors: KATA_ERR_INVALID_STATE before the start. Since: 0.1
 */
char *kata_sandbox_get_domain_xml(kata_sandbox *sandbox, uint32_t flags, kata_error **err);

/**
 * kata_sandbox_get_boot_timeline: what each step of the start took.
 * @flags: 0.
 * Returns: JSON, an array of {"name", "begin_us", "end_us"} with times in microseconds since the
 * owner was asked to start, to be released with kata_free(), or NULL. Since: 0.1
 */
char *kata_sandbox_get_boot_timeline(kata_sandbox *sandbox, uint32_t flags, kata_error **err);

/**
 * kata_sandbox_pause: stops the virtual machine's processors: nothing runs in the guest until kata_sandbox_resume(), and
 * calls that need the guest are KATA_ERR_INVALID_STATE. It can be stopped and deleted. If its owner is killed meanwhile,
 * the next one resumes it.
 * @flags: 0.
 * Returns: 0 or -1. Errors: KATA_ERR_INVALID_STATE unless it runs. Since: 0.1
 */
int kata_sandbox_pause(kata_sandbox *sandbox, uint32_t flags, kata_error **err);

/** kata_sandbox_resume: lets it go on. @flags: 0. Errors: KATA_ERR_INVALID_STATE unless paused. Since: 0.1 */
int kata_sandbox_resume(kata_sandbox *sandbox, uint32_t flags, kata_error **err);

/**
 * kata_sandbox_resize: lets a running virtual machine grow, by plugging CPUs and memory in. It never shrinks.
 * @vcpus: how many it shall have; 0: as it has.
 * @memory_mib: how much memory in MiB, rounded up to what the guest takes (128 MiB); 0: as it has.
 * @flags: 0.
 * Returns: 0 or -1.
 * Errors: KATA_ERR_UNSUPPORTED when the setting static_sandbox_resource_mgmt was true at its start;
 * KATA_ERR_INVALID_ARGUMENT for less than it has, or more than default_maxvcpus or the host's memory;
 * KATA_ERR_INVALID_STATE unless it runs. Since: 0.1
 */
int kata_sandbox_resize(kata_sandbox *sandbox, uint32_t vcpus, uint64_t memory_mib, uint32_t flags, kata_error **err);

/**
 * kata_sandbox_get_stats: the virtual machine's size, and what it costs the host.
 * @flags: 0.
 * Returns: JSON, an object with vcpus, memory_mib, containers (how many there are) and processes, an array of {"name":
 * "hypervisor", "virtiofsd" or "owner", "pid", "cpu_us": time it has used, "resident_bytes"}; to be released with
 * kata_free(), or NULL. Errors: KATA_ERR_INVALID_STATE before the start and after the end. Since: 0.1
 */
char *kata_sandbox_get_stats(kata_sandbox *sandbox, uint32_t flags, kata_error **err);

/**
 * kata_sandbox_attach_console: has what the guest writes to its serial console written to a descriptor, from the oldest
 * that is kept (the last MiB or so) on, until the virtual machine ends or nobody reads any more.
 * @fd: the writing end of a pipe, a socket or a terminal; stays the caller's: the owner duplicates it, so that the
 * reader sees the end once the caller has closed his.
 * @flags: 0.
 * Returns: 0 or -1.
 * Errors: KATA_ERR_NOT_FOUND before the start; KATA_ERR_INVALID_ARGUMENT; KATA_ERR_RESOURCE_EXHAUSTED above 16 readers.
 * Since: 0.1
 */
int kata_sandbox_attach_console(kata_sandbox *sandbox, int fd, uint32_t flags, kata_error **err);

/**
 * kata_sandbox_call_agent: one call to the agent in a running sandbox's guest, past all that the library knows: what it
 * changes there nobody takes notice of. For diagnosis. Before AgentService.ResizeVolume the virtual machine is told the
 * size that the volume's disk has on the host by now.
 * @method: as for kata_agent_call().
 * @request_json: as for kata_agent_call().
 * @timeout_ms: in milliseconds; 0: no limit. Then a call that never ends, such as AgentService.GetOOMEvent, stays with
 * the owner when the caller goes; it takes 64 at once, and more are KATA_ERR_RESOURCE_EXHAUSTED.
 * @flags: 0.
 * @ret_reply_json: as for kata_agent_call().
 * Returns: 0 or -1.
 * Errors: as for kata_agent_call(), and KATA_ERR_INVALID_STATE before the start. Since: 0.1
 */
int kata_sandbox_call_agent(kata_sandbox *sandbox, const char *method, const char *request_json, uint32_t timeout_ms,
                            uint32_t flags, char **ret_reply_json, kata_error **err);

/**
 * kata_sandbox_add_interface: connects the guest to an interface of the sandbox's network namespace. Interfaces with
 * addresses are connected without being asked for, also those that come while the guest runs; this is for one that has
 * none, or that is to look otherwise in the guest. One that is connected already is changed.
 * @interface_json: the protocol's Interface: {"device": "eth1", "name": "net0", "IPAddresses": [{"family": "v4",
 * "address": "10.0.0.2", "mask": "24"}], "mtu": 1400, "hwAddr": "02:00:00:00:00:01"}. The interface is found by its
 * "device", else "name", else "hwAddr"; "name", "IPAddresses" and "mtu" are what it gets in the guest, and where they
 * are missing it gets what the interface has. From then on it does not follow the interface's own settings.
 * @flags: 0.
 * Returns: 0 once the guest has it, or -1.
 * Errors: KATA_ERR_NOT_FOUND when the namespace has no such interface; KATA_ERR_INVALID_ARGUMENT;
 * KATA_ERR_INVALID_STATE when the sandbox does not run; KATA_ERR_UNSUPPORTED when it carries no Ethernet frames;
 * KATA_ERR_RESOURCE_EXHAUSTED when the guest has eight already; KATA_ERR_GUEST. Since: 0.1
 */
int kata_sandbox_add_interface(kata_sandbox *sandbox, const char *interface_json, uint32_t flags, kata_error **err);

/**
 * kata_sandbox_remove_interface: takes an interface from the guest, until it is added again or has left the namespace.
 * The interface itself stays.
 * @interface_json: as for kata_sandbox_add_interface(); only what it is found by counts.
 * @flags: 0.
 * Returns: 0 once the guest has it no more, or -1.
 * Errors: KATA_ERR_NOT_FOUND when the guest is not connected to it; KATA_ERR_GUEST when the guest does not let go of
 * it; KATA_ERR_INVALID_ARGUMENT; KATA_ERR_INVALID_STATE. Since: 0.1
 */
int kata_sandbox_remove_interface(kata_sandbox *sandbox, const char *interface_json, uint32_t flags, kata_error **err);

/**
 * kata_sandbox_list_interfaces: the interfaces the guest has, its loopback device among them.
 * @flags: 0.
 * Returns: JSON, an array of the protocol's Interface, to be released with kata_free(), or NULL.
 * Errors: KATA_ERR_INVALID_STATE before the start. Since: 0.1
 */
char *kata_sandbox_list_interfaces(kata_sandbox *sandbox, uint32_t flags, kata_error **err);

/**
 * kata_sandbox_list_routes: the guest's routes.
 * @flags: 0.
 * Returns: JSON, an array of the protocol's Route, to be released with kata_free(), or NULL.
 * Errors: KATA_ERR_INVALID_STATE before the start. Since: 0.1
 */
char *kata_sandbox_list_routes(kata_sandbox *sandbox, uint32_t flags, kata_error **err);

/**
 * kata_sandbox_update_routes: replaces the guest's routes, until those of the namespace change.
 * @routes_json: an array as kata_sandbox_list_routes() returns it: [{"dest": "10.1.0.0/16", "gateway": "10.0.0.1",
 * "device": "eth0"}]; no "dest" is the default route.
 * @flags: 0.
 * Returns: the new ones, as kata_sandbox_list_routes(), or NULL.
 * Errors: KATA_ERR_INVALID_ARGUMENT with the number of the route and its member; KATA_ERR_NOT_FOUND for an interface
 * the guest has not; KATA_ERR_INVALID_STATE before the start. Since: 0.1
 */
char *kata_sandbox_update_routes(kata_sandbox *sandbox, const char *routes_json, uint32_t flags, kata_error **err);

#ifdef __cplusplus
}
#endif

#endif
