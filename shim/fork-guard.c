// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Only in a build with AddressSanitizer. libvirt forks in a program with threads and allocates before it executes
 * QEMU. The C library holds its own allocator's locks over a fork; AddressSanitizer does so from LLVM 17 on, and GCC
 * 12 does not: another thread may be allocating just then, and the child waits for ever for a lock nobody holds. This
 * is what the newer ones do, in their order; the functions are the runtime's own, so it must be linked statically.
 */
#include <pthread.h>

void lock_threads(void) __asm__("_ZN6__lsan18LockThreadRegistryEv");
void unlock_threads(void) __asm__("_ZN6__lsan20UnlockThreadRegistryEv");
void lock_allocator(void) __asm__("_ZN6__lsan13LockAllocatorEv");
void unlock_allocator(void) __asm__("_ZN6__lsan15UnlockAllocatorEv");
void lock_stacks(void) __asm__("_ZN11__sanitizer17StackDepotLockAllEv");
void unlock_stacks(void) __asm__("_ZN11__sanitizer19StackDepotUnlockAllEv");

static void before_fork(void) {
  lock_threads();
  lock_allocator();
  lock_stacks();
}

static void after_fork(void) {
  unlock_stacks();
  unlock_allocator();
  unlock_threads();
}

static void watch_forks(int argc, char **argv, char **envp) { pthread_atfork(before_fork, after_fork, after_fork); }

/* Before every library's constructors: who is registered first is called last before a fork, when no other handler
 * may allocate any more, and first after it. */
__attribute__((section(".preinit_array"), used)) static void (*const at_begin)(int, char **, char **) = watch_forks;
