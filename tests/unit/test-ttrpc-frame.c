// SPDX-License-Identifier: LGPL-2.1-or-later
/* Headers, the parser and the messages, against bytes written by hand from the protocol's description. */
#include <string.h>

#include "common/ttrpc-message.h"
#include "common/ttrpc-resync.h"
#include "ttrpc-fixture.h"

static void test_header(void **state) {
  const TtrpcFrame frame = {.length = 0x123456, .stream_id = 0x89abcdef, .type = 2, .flags = 5};
  guint8 bytes[TTRPC_HEADER_SIZE];
  ttrpc_header_encode(&frame, bytes);
  const guint8 expected[] = {0x00, 0x12, 0x34, 0x56, 0x89, 0xab, 0xcd, 0xef, 0x02, 0x05};
  assert_memory_equal(bytes, expected, sizeof(expected));
  TtrpcFrame back;
  ttrpc_header_decode(&back, bytes);
  assert_int_equal(back.length, frame.length);
  assert_int_equal(back.stream_id, frame.stream_id);
  assert_int_equal(back.type, frame.type);
  assert_int_equal(back.flags, frame.flags);
  assert_null(back.body);
}

/* Feeds all in pieces of the given size and lists what came out: "frame ID/TYPE/FLAGS BODY;". */
static char *parse(TtrpcParser *parser, const guint8 *bytes, gsize size, gsize piece) {
  GString *out = g_string_new(NULL);
  for (gsize start = 0; start < size; start += piece) {
    gsize left = MIN(piece, size - start);
    const guint8 *place = bytes + start;
    for (;;) {
      g_auto(TtrpcFrame) frame = {0};
      gsize used = 0;
      TtrpcParseResult result = ttrpc_parser_feed(parser, place, left, &used, &frame);
      assert_true(used <= left);
      place += used;
      left -= used;
      if (result == TTRPC_PARSE_MORE) {
        assert_int_equal(left, 0);
        break;
      }
      if (result == TTRPC_PARSE_BROKEN) {
        g_string_append(out, "broken;");
        return g_string_free(out, FALSE);
      }
      if (result == TTRPC_PARSE_OVERSIZE) {
        assert_null(frame.body);
        g_string_append_printf(out, "oversize %u %u;", frame.stream_id, frame.length);
      } else {
        g_string_append_printf(out, "%u/%u/%u %.*s;", frame.stream_id, frame.type, frame.flags, (int)frame.length,
                               frame.body != NULL ? (const char *)frame.body : "");
      }
    }
  }
  return g_string_free(out, FALSE);
}

static const guint8 two_frames[] =
    "\x00\x00\x00\x05\x00\x00\x00\x01\x01\x00hello"
    "\x00\x00\x00\x00\x00\x00\x00\x03\x02\x00"
    "\x00\x00\x00\x03\xff\xff\xff\xff\x03\x07"
    "bye";

static void test_parser_in_pieces(void **state) {
  for (gsize piece = 1; piece < sizeof(two_frames); piece++) {
    TtrpcParser parser;
    ttrpc_parser_init(&parser, FALSE);
    g_autofree char *out = parse(&parser, two_frames, sizeof(two_frames) - 1, piece);
    assert_string_equal(out, "1/1/0 hello;3/2/0 ;4294967295/3/7 bye;");
    ttrpc_parser_clear(&parser);
  }
}

static void test_parser_space(void **state) {
  TtrpcParser parser;
  gsize size = 0;
  ttrpc_parser_init(&parser, FALSE);
  assert_null(ttrpc_parser_get_space(&parser, &size));
  g_autofree char *none = parse(&parser, two_frames, 12, 12);
  assert_string_equal(none, "");
  guint8 *space = ttrpc_parser_get_space(&parser, &size);
  assert_int_equal(size, 3);
  memcpy(space, "LLO", 3);
  g_autofree char *out = parse(&parser, space, 3, 3);
  assert_string_equal(out, "1/1/0 heLLO;");
  assert_null(ttrpc_parser_get_space(&parser, &size));
}

static GByteArray *make_long_frame(gsize size) {
  GByteArray *bytes = g_byte_array_new();
  const guint8 header[] = {
      (guint8)(size >> 24), (guint8)(size >> 16), (guint8)(size >> 8), (guint8)size, 0, 0, 0, 9, 1, 0};
  g_byte_array_append(bytes, header, sizeof(header));
  g_byte_array_set_size(bytes, (guint)(sizeof(header) + size));
  memset(bytes->data + sizeof(header), 'z', size);
  g_byte_array_append(bytes, two_frames, 15);
  return bytes;
}

static void test_parser_limits(void **state) {
  /* The longest legal body. */
  TtrpcParser parser;
  ttrpc_parser_init(&parser, FALSE);
  g_autoptr(GByteArray) longest = make_long_frame(TTRPC_MAX_BODY);
  g_autofree char *out = parse(&parser, longest->data, longest->len, 70000);
  assert_int_equal(strlen(out), TTRPC_MAX_BODY + strlen("9/1/0 ;1/1/0 hello;"));
  assert_true(g_str_has_suffix(out, "zz;1/1/0 hello;"));

  /* One byte more: passed over, and the stream goes on. So it does up to the last length below 16 MiB. */
  g_autoptr(GByteArray) longer = make_long_frame(TTRPC_MAX_BODY + 1);
  g_autofree char *longer_out = parse(&parser, longer->data, longer->len, 70000);
  assert_string_equal(longer_out, "oversize 9 4194305;1/1/0 hello;");
  g_autoptr(GByteArray) too_long = make_long_frame(0xffffff);
  g_autofree char *too_long_out = parse(&parser, too_long->data, too_long->len, 70000);
  assert_string_equal(too_long_out, "oversize 9 16777215;1/1/0 hello;");

  /* Longer ones are no frames at all; the first byte tells. */
  g_autofree char *broken = parse(&parser, (const guint8 *)"\x01", 1, 1);
  assert_string_equal(broken, "broken;");
  g_autofree char *still = parse(&parser, two_frames, 15, 15);
  assert_string_equal(still, "broken;");
  ttrpc_parser_clear(&parser);
}

static void test_parser_hunts(void **state) {
  const char *bad_starts[] = {
      "\x01",                                      /* too long by far */
      "\x00\x40\x00\x01\x00\x00\x00\x01\x01\x00",  /* one byte too long */
      "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00",  /* zeros, as sent to fill a dead peer's frame */
      "\x00\x00\x00\x05\x00\x00\x00\x01\x04\x00",  /* unknown type */
      "\x00\x00\x00\x05\x00\x00\x00\x00\x53\x00",  /* SYNC of the wrong length */
      "\x00\x00\x00\x10\x00\x00\x00\x01\x53\x00",  /* SYNC on a stream */
      "\x00\x00\x00\x10\x00\x00\x00\x00\x53\x01"}; /* SYNC with flags */
  for (gsize i = 0; i < G_N_ELEMENTS(bad_starts); i++) {
    for (gsize zeros = 0; zeros < 25; zeros++) {
      for (gsize piece = 1; piece < 30; piece += 7) {
        TtrpcParser parser;
        ttrpc_parser_init(&parser, TRUE);
        g_autoptr(GByteArray) bytes = g_byte_array_new();
        g_byte_array_append(bytes, (const guint8 *)bad_starts[i], i == 0 ? 1 : TTRPC_HEADER_SIZE);
        g_byte_array_set_size(bytes, (guint)(bytes->len + zeros));
        memset(bytes->data + bytes->len - zeros, 0, zeros);
        /* A marker that is cut short does not end the hunt, nor does it hide the next one. */
        g_byte_array_append(bytes, TTRPC_MARKER, (guint)(zeros % TTRPC_MARKER_SIZE));
        g_byte_array_append(bytes, TTRPC_MARKER, TTRPC_MARKER_SIZE);
        g_byte_array_append(bytes, two_frames, 15);
        g_autofree char *out = parse(&parser, bytes->data, bytes->len, piece);
        assert_string_equal(out, "1/1/0 hello;");
        ttrpc_parser_clear(&parser);
      }
    }
  }
}

static void test_parser_reset(void **state) {
  TtrpcParser parser;
  ttrpc_parser_init(&parser, TRUE);
  for (gsize cut = 0; cut < 15; cut++) {
    g_autofree char *nothing = parse(&parser, two_frames, cut, 15);
    assert_string_equal(nothing, "");
    ttrpc_parser_reset(&parser);
    g_autofree char *out = parse(&parser, two_frames, 15, 15);
    assert_string_equal(out, "1/1/0 hello;");
  }
  ttrpc_parser_clear(&parser);
}

static void test_marker(void **state) {
  assert_int_not_equal(TTRPC_MARKER[0], 0);
  for (int i = 1; i < TTRPC_MARKER_SIZE; i++) assert_int_not_equal(TTRPC_MARKER[0], TTRPC_MARKER[i]);
}

static void test_request_bytes(void **state) {
  Grpc__CheckRequest message = GRPC__CHECK_REQUEST__INIT;
  message.service = (char *)"abc";
  gsize length = 0;
  g_autoptr(TtrpcOutput) output = ttrpc_request_pack("S", "M", &message.base, 3, NULL, &length);
  ttrpc_output_set_stream_id(output, 0x01020305);
  /* 3 us are 3000 ns: 0xb8 0x17. */
  const guint8 expected[] =
      "\x00\x00\x00\x10\x01\x02\x03\x05\x01\x00"
      "\x0a\x01S\x12\x01M\x20\xb8\x17\x1a\x05\x0a\x03"
      "abc";
  assert_int_equal(output->size, sizeof(expected) - 1);
  assert_memory_equal(output->bytes, expected, sizeof(expected) - 1);

  message.service = (char *)"";
  const guint8 seal[TTRPC_SEAL_SIZE] = {0x79, 1, 2, 3, 4, 5, 6, 7, 8};
  g_autoptr(TtrpcOutput) sealed = ttrpc_request_pack("S", "M", &message.base, 0, seal, &length);
  const guint8 expected_sealed[] =
      "\x00\x00\x00\x0f\x00\x00\x00\x00\x01\x00"
      "\x0a\x01S\x12\x01M\x79\x01\x02\x03\x04\x05\x06\x07\x08";
  assert_int_equal(sealed->size, sizeof(expected_sealed) - 1);
  assert_memory_equal(sealed->bytes, expected_sealed, sizeof(expected_sealed) - 1);
  /* To everybody else the seal is an unknown field. */
  Ttrpc__Request *request = ttrpc__request__unpack(NULL, sealed->size - 10, sealed->bytes + 10);
  assert_string_equal(request->method, "M");
  ttrpc__request__free_unpacked(request, NULL);
}

static void test_response_bytes(void **state) {
  const Grpc__HealthCheckResponse empty = GRPC__HEALTH_CHECK_RESPONSE__INIT;
  g_autoptr(TtrpcOutput) nothing = ttrpc_response_pack(7, &empty.base);
  assert_int_equal(nothing->size, 10);
  assert_memory_equal(nothing->bytes, "\x00\x00\x00\x00\x00\x00\x00\x07\x02\x00", 10);

  Grpc__HealthCheckResponse serving = GRPC__HEALTH_CHECK_RESPONSE__INIT;
  serving.status = GRPC__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING;
  g_autoptr(TtrpcOutput) output = ttrpc_response_pack(7, &serving.base);
  assert_int_equal(output->size, 14);
  assert_memory_equal(output->bytes, "\x00\x00\x00\x04\x00\x00\x00\x07\x02\x00\x12\x02\x08\x01", 14);

  g_autoptr(TtrpcOutput) status = ttrpc_status_pack(9, TTRPC_NOT_FOUND, "no");
  assert_int_equal(status->size, 18);
  assert_memory_equal(status->bytes, "\x00\x00\x00\x08\x00\x00\x00\x09\x02\x00\x0a\x06\x08\x05\x12\x02no", 18);

  /* A text as long as one likes is cut. */
  g_autofree char *text = g_strnfill(TTRPC_MAX_BODY + 1, 'e');
  g_autoptr(TtrpcOutput) cut = ttrpc_status_pack(9, TTRPC_NOT_FOUND, text);
  assert_true(cut->size < 100000);
}

/* The same bytes as those of a message that is packed, up to where the data begin. */
static void test_response_to_be_continued(void **state) {
  static const gsize sizes[] = {1, 125, 126, 127, 128, 16381, 16384, 300000};
  for (gsize i = 0; i < G_N_ELEMENTS(sizes); i++) {
    g_autofree guint8 *data = g_malloc0(sizes[i]);
    Grpc__ReadStreamResponse message = GRPC__READ_STREAM_RESPONSE__INIT;
    message.data.data = data;
    message.data.len = sizes[i];
    g_autoptr(TtrpcOutput) whole = ttrpc_response_pack(3, &message.base);
    g_autoptr(TtrpcOutput) begin = ttrpc_response_begin(3, 1, sizes[i], NULL);
    assert_int_equal(begin->size + sizes[i], whole->size);
    assert_memory_equal(begin->bytes, whole->bytes, begin->size);
  }
  gsize length = 0;
  assert_null(ttrpc_response_begin(3, 1, TTRPC_MAX_BODY, &length));
  assert_int_equal(length, TTRPC_MAX_BODY + 10);
}

static void test_unpack_is_limited(void **state) {
  g_autoptr(GByteArray) bytes = g_byte_array_new();
  for (int i = 0; i < 1000; i++) g_byte_array_append(bytes, (const guint8 *)"\x0a\x00", 2);
  ProtobufCMessage *message = ttrpc_unpack(&grpc__interfaces__descriptor, bytes->data, bytes->len);
  assert_non_null(message);
  assert_int_equal(((Grpc__Interfaces *)message)->n_interfaces, 1000);
  protobuf_c_message_free_unpacked(message, NULL);
  for (int i = 0; i < 1000000; i++) g_byte_array_append(bytes, (const guint8 *)"\x0a\x00", 2);
  assert_null(ttrpc_unpack(&grpc__interfaces__descriptor, bytes->data, bytes->len));
  assert_null(ttrpc_unpack(&grpc__interfaces__descriptor, (const guint8 *)"\x0a\x05", 2));
  message = ttrpc_unpack(&grpc__interfaces__descriptor, NULL, 0);
  assert_non_null(message);
  protobuf_c_message_free_unpacked(message, NULL);
}

/* Whoever unpacks a message can pack it and unpack that. */
static void test_unpack_checks_field_numbers(void **state) {
  const struct {
    const char *bytes; /* of a CreateContainerRequest */
    gsize size;
    gboolean is_good;
  } cases[] = {
      {"\x0a\x01x", 3, TRUE},
      {"\x0a\x01x\xf8\x07\x01", 6, TRUE},         /* an unknown field, 127 */
      {"\xf8\xff\xff\xff\x0f\x01", 6, TRUE},      /* the highest number */
      {"\x80\x00\x05", 3, FALSE},                 /* number 0, written longer than needed */
      {"\xf8\xff\xff\xff\x1f\x01", 6, FALSE},     /* one that is too high */
      {"\x2a\x03\x80\x00\x05", 5, FALSE},         /* in a storage */
      {"\x2a\x00\x2a\x03\x80\x00\x05", 7, FALSE}, /* in the second one */
      {"\x32\x05\x12\x03\x80\x00\x05", 7, FALSE}, /* in OCI.Process */
  };
  for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autofree guint8 *bytes = g_memdup2(cases[i].bytes, cases[i].size);
    ProtobufCMessage *message = ttrpc_unpack(&grpc__create_container_request__descriptor, bytes, cases[i].size);
    if ((message != NULL) != cases[i].is_good) fail_msg("case %zu", i);
    if (message == NULL) continue;
    gsize size = protobuf_c_message_get_packed_size(message);
    g_autofree guint8 *packed = g_malloc(size);
    protobuf_c_message_pack(message, packed);
    ProtobufCMessage *again = ttrpc_unpack(&grpc__create_container_request__descriptor, packed, size);
    assert_non_null(again);
    protobuf_c_message_free_unpacked(again, NULL);
    protobuf_c_message_free_unpacked(message, NULL);
  }
}

static void test_envelopes(void **state) {
  const struct {
    const char *body;
    gsize size;
    const char *method; /* NULL: refused */
    const char *payload;
  } cases[] = {
      {"", 0, "", ""},
      {"\x12\x01M", 3, "M", ""},
      {"\x12\x01M\x1a\x02pq", 7, "M", "pq"},
      {"\x1a\x02pq\x12\x01M", 7, "M", "pq"},
      {"\x1a\x02pq\x12\x01M\x1a\x01r", 10, "M", "r"}, /* the last one counts */
      {"\x9a\x00\x02pq", 5, "", "pq"},                /* a tag written longer than needed */
      {"\x79"
       "12345678\x7d"
       "1234\x1a\x01r",
       17, "", "r"}, /* unknown fields */
      {"\x1a", 1, NULL, NULL},
      {"\x1a\x03pq", 4, NULL, NULL},
      {"\x1a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01pq", 13, NULL, NULL},
      {"\x1a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 12, NULL, NULL},
      {"\x79"
       "1234567",
       8, NULL, NULL},
      {"\x7d"
       "123",
       4, NULL, NULL},
      {"\x20\x80", 2, NULL, NULL},
      {"\x1b\x1c", 2, NULL, NULL}, /* a group */
  };
  for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
    TtrpcFrame frame = {.length = (guint32)cases[i].size};
    /* Exactly so many bytes, for a memory checker. */
    g_autofree guint8 *body = g_memdup2(cases[i].body, cases[i].size);
    frame.body = body;
    ProtobufCBinaryData payload = {0};
    Ttrpc__Request *request = ttrpc_request_unpack(&frame, &payload);
    assert_int_equal(request != NULL, cases[i].method != NULL);
    if (request == NULL) continue;
    assert_string_equal(request->method, cases[i].method);
    assert_int_equal(payload.len, strlen(cases[i].payload));
    if (payload.len > 0) assert_memory_equal(payload.data, cases[i].payload, payload.len);
    ttrpc__request__free_unpacked(request, NULL);
  }
}

static void test_sync_bytes(void **state) {
  const guint8 nonce[TTRPC_NONCE_SIZE] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
  guint8 bytes[TTRPC_SYNC_SIZE];
  ttrpc_sync_encode(nonce, bytes);
  assert_memory_equal(bytes, "\x00\x00\x00\x10\x00\x00\x00\x00\x53\x00", 10);
  assert_memory_equal(bytes + 10, nonce, 16);

  guint8 seal[TTRPC_SEAL_SIZE + 1] = {0xaa};
  ttrpc_seal_encode(nonce, seal + 1);
  assert_memory_equal(seal + 1, "\x79\x01\x02\x03\x04\x05\x06\x07\x08", 9);
  assert_true(ttrpc_seal_check(nonce, seal, sizeof(seal)));
  assert_true(ttrpc_seal_check(nonce, seal + 1, TTRPC_SEAL_SIZE));
  assert_false(ttrpc_seal_check(nonce, seal + 2, TTRPC_SEAL_SIZE - 1));
  assert_false(ttrpc_seal_check(nonce, seal, TTRPC_SEAL_SIZE));
  assert_false(ttrpc_seal_check(nonce, NULL, 0));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_header),
      cmocka_unit_test(test_parser_in_pieces),
      cmocka_unit_test(test_parser_space),
      cmocka_unit_test(test_parser_limits),
      cmocka_unit_test(test_parser_hunts),
      cmocka_unit_test(test_parser_reset),
      cmocka_unit_test(test_marker),
      cmocka_unit_test(test_request_bytes),
      cmocka_unit_test(test_response_bytes),
      cmocka_unit_test(test_response_to_be_continued),
      cmocka_unit_test(test_unpack_is_limited),
      cmocka_unit_test(test_unpack_checks_field_numbers),
      cmocka_unit_test(test_sync_bytes),
      cmocka_unit_test(test_envelopes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
