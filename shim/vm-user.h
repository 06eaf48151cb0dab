/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* QEMU's user and group: libvirt's embedded driver insists on it, the package libvirt-daemon-system makes it. */
#define VM_USER "libvirt-qemu"
