/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A ttRPC server in a thread of its own, and a peer that writes and reads frames by hand. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <glib.h>

#include "common/ttrpc-frame.h"
#include "common/ttrpc.h"
#include "proto/agent.pb-c.h"
#include "proto/health.pb-c.h"
#include "proto/ttrpc.pb-c.h"

/*
 * Serves grpc.Health and part of grpc.AgentService:
 *   Version        answers with the request's service in agent_version
 *   Check          acts on the request's service:
 *     hold           never answers by itself; see fixture_release()
 *     thread         answers from another thread a little later
 *     late:MS        answers after so many milliseconds
 *     fail:CODE:TEXT fails
 *     error          fails with a GError of KATA_ERR_NOT_FOUND and a detail
 *     wrong          answers with a message of the wrong type
 *     anything else  answers SERVING
 *   WriteStdin     answers with the number of bytes
 *   ReadStdout     answers with len bytes of 'x'
 */
typedef struct {
  GMainContext *context;
  GMainLoop *loop;
  GThread *thread;
  TtrpcServer *server;
  GMutex lock;
  GQueue held;    /* of TtrpcCall */
  GQueue threads; /* that answer; touched by the server's thread only */
  gint gone;      /* how often a gone function ran */
  gint closed;    /* how often the closed function ran */
  gint handled;
  GString *written; /* all that WriteStdin brought */
} Fixture;

Fixture *fixture_new(void);
/* Ends the server first, then answers the calls that are still held. */
void fixture_free(Fixture *fixture);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Fixture, fixture_free)

/* Runs func in the server's thread and waits for it. */
void fixture_run(Fixture *fixture, void (*func)(Fixture *, gpointer), gpointer data);
void fixture_add_stream(Fixture *fixture, int fd, TtrpcStreamKind kind);
/* A connected descriptor whose other end the server has. */
int fixture_connect(Fixture *fixture, TtrpcStreamKind kind);
void fixture_end_server(Fixture *fixture);

guint fixture_count_held(Fixture *fixture);
/* Answers the oldest held call from this thread. */
void fixture_release(Fixture *fixture);
guint fixture_count_calls(Fixture *fixture);
guint fixture_count_connections(Fixture *fixture);

/* Waits up to ten seconds for *counter to have at least this value. */
void wait_for_count(gint *counter, gint value);
void wait_for_held(Fixture *fixture, guint count);

/* Frames by hand, on a blocking descriptor. */
void raw_write(int fd, const void *bytes, gsize size);
void raw_write_frame(int fd, guint32 stream_id, guint8 type, const void *body, gsize size);
/* service and method "grpc.Health/Check" with CheckRequest{service: command}; extra: more bytes of the body. */
GByteArray *raw_check_body(const char *command);
void raw_write_check(int fd, guint32 stream_id, const char *command);
/* FALSE at the end of the stream. */
gboolean raw_read_frame(int fd, TtrpcFrame *frame);
/* Reads a Response of this stream with this status and, unless NULL, this text. */
void raw_expect_status(int fd, guint32 stream_id, int code, const char *text);
void raw_expect_end(int fd);

/* Calls by name through the client; NULL, with *error set, on failure. */
Grpc__HealthCheckResponse *call_check(TtrpcClient *client, const char *command, gint64 timeout_ms, GError **error);
/* Asserts that Version echoes the text. */
void assert_echo(TtrpcClient *client, const char *text);
