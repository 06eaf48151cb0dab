// SPDX-License-Identifier: LGPL-2.1-or-later
#include "shim/net-bpf.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/error.h"
#include "common/fds.h"

/* An IPv4 address has one word, an IPv6 address four. */
#define WORDS_MAX 4u

/* Offsets into a frame, RFC 791 and RFC 8200, and what the peer's address takes the place of. */
typedef struct {
  guint16 ether_type;
  gint32 source_at, destination_at, protocol_at;
  gint32 payload_at; /* behind a header without options */
  guint words;
  guint32 loopback[WORDS_MAX], peer[WORDS_MAX];
  guint8 icmp, echo_reply;
} Family;

static const Family ipv4 = {
    .ether_type = ETH_P_IP,
    .source_at = ETH_HLEN + 12,
    .destination_at = ETH_HLEN + 16,
    .protocol_at = ETH_HLEN + 9,
    .payload_at = ETH_HLEN + 20,
    .words = 1,
    .loopback = {INADDR_LOOPBACK},
    .peer = {NET_BPF_PEER},
    .icmp = IPPROTO_ICMP,
    .echo_reply = ICMP_ECHOREPLY,
};
static const Family ipv6 = {
    .ether_type = ETH_P_IPV6,
    .source_at = ETH_HLEN + 8,
    .destination_at = ETH_HLEN + 24,
    .protocol_at = ETH_HLEN + 6,
    .payload_at = ETH_HLEN + 40,
    .words = 4,
    .loopback = {0, 0, 0, 1},
    .peer = NET_BPF_PEER6_WORDS,
    .icmp = IPPROTO_ICMPV6,
    .echo_reply = ICMP6_ECHO_REPLY,
};

/* Of IPv4 only. */
#define FRAGMENT_AT (ETH_HLEN + 6)
#define PLAIN_HEADER 0x45u
#define FRAGMENT_MASK 0x3fff
/* Behind the header of IP. */
#define DNS_PORT_AT 2
#define TCP_FLAGS_AT 13
#define DNS_PORT 53u
/* RFC 826 */
#define ARP_OPERATION_AT (ETH_HLEN + 6)
#define ARP_REPLY 2u
/* Pairs of ports between which UDP goes; a pair whose place has been taken by a newer one must ask again. */
#define PAIRS 1024u
#define PROGRAM_MAX 128
#define LOG_BYTES 4096

/* Jumps of 32 bits to the end, which only says what becomes of the frame, are filled in when the end is known. */
#define TO_END (-1)
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
  add(program, BPF_JMP32 | BPF_JNE | BPF_K, reg, 0, TO_END, (gint32)number);
}

/* Frames of that kind only; register 6 holds the frame from now on. */
static void begin(Program *program, const Family *family) {
  copy(program, BPF_REG_6, BPF_REG_1);
  add(program, BPF_LDX | BPF_MEM | BPF_W, BPF_REG_0, BPF_REG_6, offsetof(struct __sk_buff, protocol), 0);
  end_unless(program, BPF_REG_0, htons(family->ether_type));
}

/* Into register 0, of the host's order. A frame that ends before is let pass at once, without a change; so addresses
 * are asked for first, and the kernel drops what has less than a header of IP or an address that is not its own. */
static void take(Program *program, guint8 size, gint32 at) { add(program, BPF_LD | BPF_ABS | size, 0, 0, 0, at); }

static void end_unless_words(Program *program, gint32 at, const guint32 *words, guint count) {
  for (guint i = 0; i < count; i++) {
    take(program, BPF_W, at + (gint32)(i * sizeof *words));
    end_unless(program, BPF_REG_0, words[i]);
  }
}

static void end_unless_word(Program *program, gint32 at, guint32 number) { end_unless_words(program, at, &number, 1); }

/* Whole packets without options. */
static void end_unless_plain(Program *program, const Family *family) {
  if (family != &ipv4) return; /* of IPv6 fragments and options would be the protocol */
  take(program, BPF_B, ETH_HLEN);
  end_unless(program, BPF_REG_0, PLAIN_HEADER);
  take(program, BPF_H, FRAGMENT_AT);
  add(program, BPF_ALU64 | BPF_AND | BPF_K, BPF_REG_0, 0, 0, FRAGMENT_MASK);
  end_unless(program, BPF_REG_0, 0);
}

/* Of UDP or TCP to port 53. */
static void end_unless_dns(Program *program) {
  end_unless_plain(program, &ipv4);
  take(program, BPF_B, ipv4.protocol_at);
  add(program, BPF_JMP32 | BPF_JEQ | BPF_K, BPF_REG_0, 0, 1, IPPROTO_UDP);
  end_unless(program, BPF_REG_0, IPPROTO_TCP);
  take(program, BPF_H, ipv4.payload_at + DNS_PORT_AT);
  end_unless(program, BPF_REG_0, DNS_PORT);
}

/* Begins a part that only runs if the register holds the number; returns what end_part() wants. */
static guint begin_part(Program *program, guint8 reg, guint32 number) {
  add(program, BPF_JMP32 | BPF_JEQ | BPF_K, reg, 0, 1, (gint32)number);
  add(program, BPF_JMP | BPF_JA, 0, 0, 0, 0);
  return program->length - 1;
}

static void end_part(Program *program, guint jump) { program->code[jump].off = (gint16)(program->length - jump - 1); }

/* ---- the table of ports between which UDP goes ---- */

static int make_table(GError **error) {
  union bpf_attr attributes;
  memset(&attributes, 0, sizeof attributes);
  attributes.map_type = BPF_MAP_TYPE_ARRAY;
  attributes.key_size = attributes.value_size = sizeof(guint32);
  attributes.max_entries = PAIRS;
  int fd = (int)syscall(SYS_bpf, BPF_MAP_CREATE, &attributes, sizeof attributes);
  if (fd < 0) error_set_errno(error, errno, "cannot make a table in the kernel (bpf(2))");
  return fd; /* close-on-exec from birth */
}

/* Leaves the ports in register 7, the namespace's in its upper half, and where their place is in register 0. */
static void find_pair(Program *program, const Family *family, int table, gboolean is_inward) {
  take(program, BPF_W, family->payload_at);
  add(program, BPF_ALU | BPF_MOV | BPF_X, BPF_REG_7, BPF_REG_0, 0, 0);
  add(program, BPF_ALU | BPF_MOV | BPF_X, BPF_REG_8, BPF_REG_0, 0, 0);
  add(program, BPF_ALU | BPF_RSH | BPF_K, BPF_REG_8, 0, 0, 16);
  if (is_inward) {
    add(program, BPF_ALU | BPF_LSH | BPF_K, BPF_REG_7, 0, 0, 16);
    add(program, BPF_ALU | BPF_OR | BPF_X, BPF_REG_7, BPF_REG_8, 0, 0);
  }
  /* The sum of the two is the same for both directions. */
  add(program, BPF_ALU | BPF_ADD | BPF_X, BPF_REG_8, BPF_REG_0, 0, 0);
  add(program, BPF_ALU | BPF_AND | BPF_K, BPF_REG_8, 0, 0, PAIRS - 1);
  add(program, BPF_STX | BPF_MEM | BPF_W, BPF_REG_10, BPF_REG_8, -4, 0);
  add(program, BPF_LD | BPF_IMM | BPF_DW, BPF_REG_1, BPF_PSEUDO_MAP_FD, 0, table);
  add(program, 0, 0, 0, 0, 0); /* the upper half of that number */
  copy(program, BPF_REG_2, BPF_REG_10);
  add(program, BPF_ALU64 | BPF_ADD | BPF_K, BPF_REG_2, 0, 0, -4);
  add(program, BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_map_lookup_elem);
  /* Never, but the kernel wants it asked. */
  add(program, BPF_JMP | BPF_JNE | BPF_K, BPF_REG_0, 0, 2, 0);
  set(program, BPF_REG_0, TC_ACT_SHOT);
  add(program, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
}

static void note_pair(Program *program, const Family *family, int table) {
  take(program, BPF_B, family->protocol_at);
  guint part = begin_part(program, BPF_REG_0, IPPROTO_UDP);
  find_pair(program, family, table, FALSE);
  add(program, BPF_STX | BPF_MEM | BPF_W, BPF_REG_0, BPF_REG_7, 0, 0);
  end_part(program, part);
}

static void end_unless_answer(Program *program, const Family *family, int table) {
  end_unless_plain(program, family);
  take(program, BPF_B, family->protocol_at);
  copy(program, BPF_REG_9, BPF_REG_0);
  add(program, BPF_JMP32 | BPF_JEQ | BPF_K, BPF_REG_9, 0, 2, IPPROTO_TCP);
  add(program, BPF_JMP32 | BPF_JEQ | BPF_K, BPF_REG_9, 0, 1, IPPROTO_UDP);
  end_unless(program, BPF_REG_9, family->icmp);
  guint part = begin_part(program, BPF_REG_9, IPPROTO_TCP);
  take(program, BPF_B, family->payload_at + TCP_FLAGS_AT);
  add(program, BPF_ALU64 | BPF_AND | BPF_K, BPF_REG_0, 0, 0, TH_SYN | TH_ACK);
  add(program, BPF_JMP32 | BPF_JEQ | BPF_K, BPF_REG_0, 0, TO_END, TH_SYN);
  end_part(program, part);
  part = begin_part(program, BPF_REG_9, IPPROTO_UDP);
  find_pair(program, family, table, TRUE);
  add(program, BPF_LDX | BPF_MEM | BPF_W, BPF_REG_0, BPF_REG_0, 0, 0);
  add(program, BPF_JMP32 | BPF_JNE | BPF_X, BPF_REG_0, BPF_REG_7, TO_END, 0);
  end_part(program, part);
  part = begin_part(program, BPF_REG_9, family->icmp);
  take(program, BPF_B, family->payload_at);
  end_unless(program, BPF_REG_0, family->echo_reply);
  end_part(program, part);
}

/* ---- changing a frame, and where it goes ---- */

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

static void store_words(Program *program, gint32 at, const guint32 *words, guint count) {
  for (guint i = 0; i < count; i++) {
    guint32 bytes = htonl(words[i]);
    store(program, at + (gint32)(i * sizeof bytes), (const guint8 *)&bytes, sizeof bytes);
  }
}

static void store_address(Program *program, gint32 at, guint32 address) { store_words(program, at, &address, 1); }

/* otherwise: what becomes of frames that jumped to the end. */
static void close_ends(Program *program, gint32 otherwise) {
  for (guint i = 0; i < program->length; i++)
    if (BPF_CLASS(program->code[i].code) == BPF_JMP32 && program->code[i].off == TO_END)
      program->code[i].off = (gint16)(program->length - i - 1);
  set(program, BPF_REG_0, otherwise);
  add(program, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
}

/* The end: the frame goes to interface index. */
static void finish(Program *program, guint index, gint32 flags, gint32 otherwise) {
  set(program, BPF_REG_1, (gint32)index);
  set(program, BPF_REG_2, flags);
  add(program, BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_redirect);
  add(program, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
  close_ends(program, otherwise);
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

static int load_outward(const Family *family, guint tap, const guint8 mac[6], int table, GError **error) {
  Program program = {.length = 0};
  begin(&program, family);
  end_unless_words(&program, family->destination_at, family->loopback, family->words);
  end_unless_words(&program, family->source_at, family->loopback, family->words); /* not what 127.0.0.11 answers */
  note_pair(&program, family, table);
  store_words(&program, family->source_at, family->peer, family->words);
  store(&program, 0, mac, ETH_ALEN);
  finish(&program, tap, 0, TC_ACT_UNSPEC);
  return load(&program, error);
}

static int load_inward(const Family *family, guint loopback, int table, GError **error) {
  static const guint8 loopback_mac[ETH_ALEN];
  Program program = {.length = 0};
  begin(&program, family);
  end_unless_words(&program, family->destination_at, family->peer, family->words);
  end_unless_words(&program, family->source_at, family->loopback, family->words);
  end_unless_answer(&program, family, table);
  store_words(&program, family->destination_at, family->loopback, family->words);
  store(&program, 0, loopback_mac, ETH_ALEN);
  finish(&program, loopback, BPF_F_INGRESS, family == &ipv4 ? TC_ACT_SHOT : TC_ACT_UNSPEC);
  return load(&program, error);
}

void net_bpf_pair_clear(NetBpfPair *pair) {
  fd_clear(&pair->outward);
  fd_clear(&pair->inward);
}

gboolean net_bpf_load_localhost(int family, guint tap, guint loopback, const guint8 mac[6], NetBpfPair *ret,
                                GError **error) {
  const Family *kind = family == AF_INET6 ? &ipv6 : &ipv4;
  autofd int table = make_table(error); /* the programs hold it from then on */
  if (table < 0) return FALSE;
  g_auto(NetBpfPair) pair = {-1, -1};
  pair.outward = load_outward(kind, tap, mac, table, error);
  pair.inward = pair.outward >= 0 ? load_inward(kind, loopback, table, error) : -1;
  if (pair.inward < 0) return FALSE;
  *ret = (NetBpfPair){fd_steal(&pair.outward), fd_steal(&pair.inward)};
  return TRUE;
}

int net_bpf_load_dns_outward(guint tap, const guint8 mac[6], GError **error) {
  Program program = {.length = 0};
  begin(&program, &ipv4);
  end_unless_word(&program, ipv4.destination_at, NET_BPF_DNS_CLIENT);
  end_unless_word(&program, ipv4.source_at, NET_BPF_DNS);
  store_address(&program, ipv4.destination_at, NET_BPF_GUEST);
  store(&program, 0, mac, ETH_ALEN);
  finish(&program, tap, 0, TC_ACT_UNSPEC);
  return load(&program, error);
}

int net_bpf_load_dns_inward(guint loopback, GError **error) {
  static const guint8 loopback_mac[ETH_ALEN];
  Program program = {.length = 0};
  begin(&program, &ipv4);
  end_unless_word(&program, ipv4.source_at, NET_BPF_GUEST);
  end_unless_word(&program, ipv4.destination_at, NET_BPF_DNS);
  end_unless_dns(&program);
  store_address(&program, ipv4.source_at, NET_BPF_DNS_CLIENT);
  store(&program, 0, loopback_mac, ETH_ALEN);
  finish(&program, loopback, BPF_F_INGRESS, TC_ACT_UNSPEC);
  return load(&program, error);
}

/* ---- what the namespace's own processes have asked outside ---- */

/* Both get it, since it tells of machines on the wire that both may want to reach. */
static void add_arp(Program *program, guint tap) {
  guint part = begin_part(program, BPF_REG_7, htons(ETH_P_ARP));
  take(program, BPF_H, ARP_OPERATION_AT);
  end_unless(program, BPF_REG_0, ARP_REPLY);
  copy(program, BPF_REG_1, BPF_REG_6);
  set(program, BPF_REG_2, (gint32)tap);
  set(program, BPF_REG_3, 0);
  add(program, BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_clone_redirect);
  set(program, BPF_REG_0, TC_ACT_OK);
  add(program, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
  end_part(program, part);
}

/* Copies part of the frame to the stack. */
static void load_bytes(Program *program, gint32 from, gint32 to, gint32 size) {
  copy(program, BPF_REG_1, BPF_REG_6);
  set(program, BPF_REG_2, from);
  copy(program, BPF_REG_3, BPF_REG_10);
  add(program, BPF_ALU64 | BPF_ADD | BPF_K, BPF_REG_3, 0, 0, to);
  set(program, BPF_REG_4, size);
  add(program, BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_skb_load_bytes);
}

/* Register 8: the state of the namespace's socket that the frame is for; ends if there is none. */
static void find_socket(Program *program, gint32 function) {
  struct bpf_sock_tuple tuple;
  const gint32 at = -16; /* on the stack; what is compared of it comes in a frame in the same order */
  load_bytes(program, ipv4.source_at, at, offsetof(struct bpf_sock_tuple, ipv4.sport));
  load_bytes(program, ipv4.payload_at, at + (gint32)offsetof(struct bpf_sock_tuple, ipv4.sport),
             sizeof tuple.ipv4.sport + sizeof tuple.ipv4.dport);
  copy(program, BPF_REG_1, BPF_REG_6);
  copy(program, BPF_REG_2, BPF_REG_10);
  add(program, BPF_ALU64 | BPF_ADD | BPF_K, BPF_REG_2, 0, 0, at);
  set(program, BPF_REG_3, sizeof tuple.ipv4);
  set(program, BPF_REG_4, BPF_F_CURRENT_NETNS);
  set(program, BPF_REG_5, 0);
  add(program, BPF_JMP | BPF_CALL, 0, 0, 0, function);
  add(program, BPF_JMP | BPF_JNE | BPF_K, BPF_REG_0, 0, 2, 0);
  set(program, BPF_REG_0, TC_ACT_UNSPEC);
  add(program, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
  add(program, BPF_LDX | BPF_MEM | BPF_W, BPF_REG_8, BPF_REG_0, offsetof(struct bpf_sock, state), 0);
  copy(program, BPF_REG_1, BPF_REG_0);
  add(program, BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_sk_release);
}

int net_bpf_load_outside(guint tap, GError **error) {
  Program program = {.length = 0};
  copy(&program, BPF_REG_6, BPF_REG_1);
  add(&program, BPF_LDX | BPF_MEM | BPF_W, BPF_REG_7, BPF_REG_6, offsetof(struct __sk_buff, protocol), 0);
  add_arp(&program, tap);
  end_unless(&program, BPF_REG_7, htons(ETH_P_IP));
  end_unless_plain(&program, &ipv4);
  take(&program, BPF_B, ipv4.protocol_at);
  copy(&program, BPF_REG_9, BPF_REG_0);
  add(&program, BPF_JMP32 | BPF_JEQ | BPF_K, BPF_REG_9, 0, 1, IPPROTO_UDP);
  end_unless(&program, BPF_REG_9, IPPROTO_TCP);
  take(&program, BPF_H, ipv4.payload_at);
  end_unless(&program, BPF_REG_0, DNS_PORT);
  guint part = begin_part(&program, BPF_REG_9, IPPROTO_UDP);
  find_socket(&program, BPF_FUNC_sk_lookup_udp);
  end_unless(&program, BPF_REG_8, BPF_TCP_ESTABLISHED); /* connect(2) leaves it so */
  set(&program, BPF_REG_0, TC_ACT_OK);
  add(&program, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
  end_part(&program, part);
  find_socket(&program, BPF_FUNC_sk_lookup_tcp);
  add(&program, BPF_JMP32 | BPF_JEQ | BPF_K, BPF_REG_8, 0, TO_END, BPF_TCP_LISTEN);
  set(&program, BPF_REG_0, TC_ACT_OK);
  add(&program, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
  close_ends(&program, TC_ACT_UNSPEC);
  return load(&program, error);
}
