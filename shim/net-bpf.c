// SPDX-License-Identifier: LGPL-2.1-or-later
#include "shim/net-bpf.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/error.h"

#define LOOPBACK 0x7f000001u
/* Offsets into a frame, RFC 791. */
#define SOURCE_AT (ETH_HLEN + 12)
#define DESTINATION_AT (ETH_HLEN + 16)
#define FRAGMENT_AT (ETH_HLEN + 6)
#define PROTOCOL_AT (ETH_HLEN + 9)
/* Behind a header without options. */
#define PORT_AT (ETH_HLEN + 22)
#define PLAIN_HEADER 0x45u
#define FRAGMENT_MASK 0x3fff
#define DNS_PORT 53u
#define PROGRAM_MAX 64
#define LOG_BYTES 4096

/* Jumps to the end, which only says what becomes of the frame, are filled in when the end is known. */
typedef struct {
  struct bpf_insn code[PROGRAM_MAX];
  guint length;
} Program;

static void add(Program *program, guint8 code, guint8 to, guint8 from, gint16 offset, gint32 number) {
  g_assert(program->length < PROGRAM_MAX);
  program->code[program->length++] =
      (struct bpf_insn){.code = code, .dst_reg = to, .src_reg = from, .off = offset, .imm = number};
}

static void set(Program *program, guint8 reg, gint32 number) {
  add(program, BPF_ALU64 | BPF_MOV | BPF_K, reg, 0, 0, number);
}

static void copy(Program *program, guint8 to, guint8 from) {
  add(program, BPF_ALU64 | BPF_MOV | BPF_X, to, from, 0, 0);
}

static void end_unless(Program *program, guint8 reg, guint32 number) {
  /* In 32 bits, since an address' upper bit must not be taken for a sign. */
  add(program, BPF_JMP32 | BPF_JNE | BPF_K, reg, 0, -1, (gint32)number);
}

/* Frames of IP only; register 6 holds the frame from now on. */
static void begin(Program *program) {
  copy(program, BPF_REG_6, BPF_REG_1);
  add(program, BPF_LDX | BPF_MEM | BPF_W, BPF_REG_0, BPF_REG_6, offsetof(struct __sk_buff, protocol), 0);
  end_unless(program, BPF_REG_0, htons(ETH_P_IP));
}

static void end_unless_word(Program *program, gint32 at, guint32 number) {
  add(program, BPF_LD | BPF_ABS | BPF_W, 0, 0, 0, at);
  end_unless(program, BPF_REG_0, number);
}

/* Whole packets of UDP or TCP to port 53. */
static void end_unless_dns(Program *program) {
  add(program, BPF_LD | BPF_ABS | BPF_B, 0, 0, 0, ETH_HLEN);
  end_unless(program, BPF_REG_0, PLAIN_HEADER);
  add(program, BPF_LD | BPF_ABS | BPF_H, 0, 0, 0, FRAGMENT_AT);
  add(program, BPF_ALU64 | BPF_AND | BPF_K, BPF_REG_0, 0, 0, FRAGMENT_MASK);
  end_unless(program, BPF_REG_0, 0);
  add(program, BPF_LD | BPF_ABS | BPF_B, 0, 0, 0, PROTOCOL_AT);
  add(program, BPF_JMP32 | BPF_JEQ | BPF_K, BPF_REG_0, 0, 1, IPPROTO_UDP);
  end_unless(program, BPF_REG_0, IPPROTO_TCP);
  add(program, BPF_LD | BPF_ABS | BPF_H, 0, 0, 0, PORT_AT);
  end_unless(program, BPF_REG_0, DNS_PORT);
}

static void store(Program *program, gint32 at, const guint8 *bytes, gint32 size) {
  guint8 padded[8] = {0};
  gint32 words[2];
  memcpy(padded, bytes, (gsize)size);
  memcpy(words, padded, sizeof words);
  for (gint16 i = 0; i < 2; i++) add(program, BPF_ST | BPF_MEM | BPF_W, BPF_REG_10, 0, (gint16)(4 * i - 8), words[i]);
  copy(program, BPF_REG_1, BPF_REG_6);
  set(program, BPF_REG_2, at);
  copy(program, BPF_REG_3, BPF_REG_10);
  add(program, BPF_ALU64 | BPF_ADD | BPF_K, BPF_REG_3, 0, 0, -8);
  set(program, BPF_REG_4, size);
  set(program, BPF_REG_5, 0);
  add(program, BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_skb_store_bytes);
}

static void store_address(Program *program, gint32 at, guint32 address) {
  guint32 bytes = htonl(address);
  store(program, at, (const guint8 *)&bytes, sizeof bytes);
}

/* The end: the frame goes to interface index; otherwise: what becomes of those that jumped there. */
static void finish(Program *program, guint index, gint32 flags, gint32 otherwise) {
  set(program, BPF_REG_1, (gint32)index);
  set(program, BPF_REG_2, flags);
  add(program, BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_redirect);
  add(program, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
  for (guint i = 0; i < program->length; i++)
    if (program->code[i].code == (BPF_JMP32 | BPF_JNE | BPF_K))
      program->code[i].off = (gint16)(program->length - i - 1);
  set(program, BPF_REG_0, otherwise);
  add(program, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
}

static int load(const Program *program, GError **error) {
  char log[LOG_BYTES] = "";
  union bpf_attr attributes;
  memset(&attributes, 0, sizeof attributes);
  attributes.prog_type = BPF_PROG_TYPE_SCHED_CLS;
  attributes.insns = (guint64)(gsize)program->code;
  attributes.insn_cnt = program->length;
  attributes.license = (guint64)(gsize) "LGPL-2.1-or-later";
  int fd = (int)syscall(SYS_bpf, BPF_PROG_LOAD, &attributes, sizeof attributes);
  if (fd >= 0) return fd; /* close-on-exec from birth */
  int reason = errno;
  attributes.log_buf = (guint64)(gsize)log;
  attributes.log_size = sizeof log;
  attributes.log_level = 1;
  syscall(SYS_bpf, BPF_PROG_LOAD, &attributes, sizeof attributes);
  error_set_errno(error, reason, "cannot load a program into the kernel (bpf(2))");
  if (error != NULL) error_append_detail(*error, log);
  return -1;
}

int net_bpf_load_outward(guint tap, const guint8 mac[6], GError **error) {
  Program program = {.length = 0};
  begin(&program);
  end_unless_word(&program, DESTINATION_AT, LOOPBACK);
  end_unless_word(&program, SOURCE_AT, LOOPBACK); /* not what 127.0.0.11 answers */
  store_address(&program, SOURCE_AT, NET_BPF_PEER);
  store(&program, 0, mac, ETH_ALEN);
  finish(&program, tap, 0, TC_ACT_OK);
  return load(&program, error);
}

int net_bpf_load_inward(guint loopback, GError **error) {
  static const guint8 loopback_mac[ETH_ALEN];
  Program program = {.length = 0};
  begin(&program);
  end_unless_word(&program, DESTINATION_AT, NET_BPF_PEER);
  end_unless_word(&program, SOURCE_AT, LOOPBACK);
  store_address(&program, DESTINATION_AT, LOOPBACK);
  store(&program, 0, loopback_mac, ETH_ALEN);
  finish(&program, loopback, BPF_F_INGRESS, TC_ACT_SHOT);
  return load(&program, error);
}

int net_bpf_load_dns_outward(guint tap, const guint8 mac[6], GError **error) {
  Program program = {.length = 0};
  begin(&program);
  end_unless_word(&program, DESTINATION_AT, NET_BPF_DNS_CLIENT);
  end_unless_word(&program, SOURCE_AT, NET_BPF_DNS);
  store_address(&program, DESTINATION_AT, NET_BPF_GUEST);
  store(&program, 0, mac, ETH_ALEN);
  finish(&program, tap, 0, TC_ACT_UNSPEC);
  return load(&program, error);
}

int net_bpf_load_dns_inward(guint loopback, GError **error) {
  static const guint8 loopback_mac[ETH_ALEN];
  Program program = {.length = 0};
  begin(&program);
  end_unless_word(&program, SOURCE_AT, NET_BPF_GUEST);
  end_unless_word(&program, DESTINATION_AT, NET_BPF_DNS);
  end_unless_dns(&program);
  store_address(&program, SOURCE_AT, NET_BPF_DNS_CLIENT);
  store(&program, 0, loopback_mac, ETH_ALEN);
  finish(&program, loopback, BPF_F_INGRESS, TC_ACT_UNSPEC);
  return load(&program, error);
}
