// SPDX-License-Identifier: LGPL-2.1-or-later
#include "lib/settings-upstream.h"

#include <glib.h>
#include <string.h>

#define QEMU "hypervisor.qemu"
#define AGENT "agent.kata"
#define RUNTIME "runtime"
#define FACTORY "factory"

/* only: the one value that may stand there, where any other asks for protection that we do not give. */
static const UpstreamKey upstream_keys[] = {
    {QEMU, "image", NULL, "the guest starts from an initrd"},
    {QEMU, "rootfs_type", NULL, "the guest starts from an initrd"},
    {QEMU, "kernel_verity_params", NULL, "the guest starts from an initrd"},
    {QEMU, "disable_image_nvdimm", NULL, "the guest starts from an initrd"},
    {QEMU, "firmware_volume", NULL, "the firmware keeps no variables"},
    {QEMU, "pflashes", NULL, "the firmware keeps no variables"},
    {QEMU, "machine_accelerators", NULL, "the accelerator is chosen by 'accelerator'"},
    {QEMU, "cpu_features", NULL, "the guest has the processor that the accelerator offers"},
    {QEMU, "entropy_source", NULL, "the source is not chosen here"},
    {QEMU, "valid_entropy_sources", NULL, "the source is not chosen here"},
    {QEMU, "use_legacy_serial", NULL, "the console is chosen by us"},
    {QEMU, "memory_slots", NULL, "the number of slots is built in"},
    {QEMU, "default_maxmemory", NULL, "memory is plugged in as containers ask for it"},
    {QEMU, "memory_offset", NULL, "there is no NVDIMM"},
    {QEMU, "enable_virtio_mem", NULL, "memory is plugged in as modules"},
    {QEMU, "enable_mem_prealloc", NULL, "memory is given as the guest uses it"},
    {QEMU, "enable_hugepages", NULL, "memory is given in ordinary pages"},
    {QEMU, "hugepage_type", NULL, "memory is given in ordinary pages"},
    {QEMU, "enable_guest_swap", NULL, "guests have no swap"},
    {QEMU, "default_bridges", NULL, "there are as many bridges as needed"},
    {QEMU, "overhead_vcpus", NULL, "the allowance is built in"},
    {QEMU, "overhead_memory", NULL, "the allowance is built in"},
    {QEMU, "enable_numa", NULL, "guests have one node"},
    {QEMU, "numa_mapping", NULL, "guests have one node"},
    {QEMU, "virtio_fs_cache_size", NULL, "there is no DAX window"},
    {QEMU, "virtio_fs_queue_size", NULL, "the queue has its ordinary size"},
    {QEMU, "msize_9p", NULL, "files are shared by virtio-fs"},
    {QEMU, "block_device_driver", NULL, "disks are virtio-blk"},
    {QEMU, "block_device_queue_size", NULL, "disks have QEMU's ordinary settings"},
    {QEMU, "indep_iothreads", NULL, "disks share one thread, see 'enable_iothreads'"},
    {QEMU, "enable_vhost_user_store", NULL, "there are no vhost-user disks"},
    {QEMU, "vhost_user_store_path", NULL, "there are no vhost-user disks"},
    {QEMU, "valid_vhost_user_store_paths", NULL, "there are no vhost-user disks"},
    {QEMU, "vhost_user_reconnect_timeout_sec", NULL, "there are no vhost-user disks"},
    {QEMU, "hot_plug_vfio", NULL, "devices are not passed through"},
    {QEMU, "cold_plug_vfio", NULL, "devices are not passed through"},
    {QEMU, "pcie_switch_port", NULL, "devices are not passed through"},
    {QEMU, "enable_iommu", NULL, "devices are not passed through"},
    {QEMU, "enable_iommu_platform", NULL, "devices are not passed through"},
    {QEMU, "jailer_path", NULL, "there is no jailer"},
    {QEMU, "valid_jailer_paths", NULL, "there is no jailer"},
    {QEMU, "rootless", "false", "QEMU runs as libvirt's user"},
    {QEMU, "seccompsandbox", NULL, "libvirt chooses QEMU's filter"},
    {QEMU, "seccomp_sandbox", NULL, "libvirt chooses QEMU's filter"},
    {QEMU, "disable_selinux", NULL, "SELinux is left to libvirt"},
    {QEMU, "disable_guest_selinux", "true", "the guest has no SELinux"},
    {QEMU, "confidential_guest", "false", "memory is not encrypted"},
    {QEMU, "guest_hook_path", NULL, "hooks of the guest are not set from the host"},
    {QEMU, "extra_monitor_socket", NULL, "libvirt has QEMU's monitor"},
    {QEMU, "guest_memory_dump_path", NULL, "memory is not dumped"},
    {QEMU, "guest_memory_dump_paging", NULL, "memory is not dumped"},
    {QEMU, "disable_nesting_checks", NULL, "nothing is checked there"},
    {FACTORY, "vm_cache_endpoint", NULL, "guests that stand by have no server"},
    {AGENT, "enable_tracing", NULL, "there is no tracing"},
    {AGENT, "dial_timeout_ms", NULL, "the key is 'dial_timeout', in seconds"},
    {AGENT, "reconnect_timeout_ms", NULL, "the key is 'dial_timeout', in seconds"},
    {AGENT, "cdh_api_timeout", NULL, "there is no confidential data hub"},
    {"agent.kata.mem_agent", NULL, NULL, "there is no memory agent"},
    {RUNTIME, "internetworking_model", NULL, "frames are always passed on by a filter (tcfilter)"},
    {RUNTIME, "disable_guest_seccomp", NULL, "the guest always applies a container's filter"},
    {RUNTIME, "enable_vcpus_pinning", NULL, "CPUs are not pinned"},
    {RUNTIME, "guest_selinux_label", "\"\"", "the guest has no SELinux"},
    {RUNTIME, "enable_tracing", NULL, "there is no tracing"},
    {RUNTIME, "jaeger_endpoint", NULL, "there is no tracing"},
    {RUNTIME, "jaeger_user", NULL, "there is no tracing"},
    {RUNTIME, "jaeger_password", NULL, "there is no tracing"},
    {RUNTIME, "disable_new_netns", NULL, "a guest is always in a network namespace of a container"},
    {RUNTIME, "sandbox_cgroup_only", NULL, "all of a sandbox is always in one cgroup"},
    {RUNTIME, "sandbox_bind_mounts", NULL, "what a guest sees is what its containers mount"},
    {RUNTIME, "vfio_mode", NULL, "devices are not passed through"},
    {RUNTIME, "disable_guest_empty_dir", NULL, "where a volume lives follows from its kind"},
    {RUNTIME, "emptydir_mode", NULL, "where a volume lives follows from its kind"},
    {RUNTIME, "experimental", NULL, "there is nothing experimental"},
    {RUNTIME, "enable_pprof", NULL, "this is no Go program"},
    {RUNTIME, "dan_conf", NULL, "networks come from the network namespace"},
    {RUNTIME, "kubelet_root_dir", NULL, "nothing is read from there"},
    {RUNTIME, "pod_resource_api_sock", NULL, "nothing is asked there"},
    {RUNTIME, "name", NULL, "there is one runtime"},
    {RUNTIME, "hypervisor_name", NULL, "guests run in QEMU"},
    {RUNTIME, "agent_name", NULL, "there is one agent"},
    {RUNTIME, "keep_abnormal", NULL, "a sandbox that failed is removed"},
    {RUNTIME, "use_passfd_io", NULL, "streams go through the agent"},
    {RUNTIME, "log_level", NULL, "see 'enable_debug'"},
    {"hypervisor.clh", NULL, NULL, "guests run in QEMU"},
    {"hypervisor.cloud-hypervisor", NULL, NULL, "guests run in QEMU"},
    {"hypervisor.firecracker", NULL, NULL, "guests run in QEMU"},
    {"hypervisor.dragonball", NULL, NULL, "guests run in QEMU"},
    {"hypervisor.stratovirt", NULL, NULL, "guests run in QEMU"},
    {"hypervisor.remote", NULL, NULL, "guests run in QEMU"},
};

const UpstreamKey *upstream_key_find(const char *section, const char *key) {
  for (gsize i = 0; i < G_N_ELEMENTS(upstream_keys); i++) {
    const UpstreamKey *one = &upstream_keys[i];
    if (strcmp(one->section, section) == 0 && (one->key == NULL || strcmp(one->key, key) == 0)) return one;
  }
  return NULL;
}
