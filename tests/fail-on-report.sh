#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# fail-on-report.sh COMMAND...: runs a test of a build with sanitizers, and fails if any program that it started has made
# a report. An owner has its standard error in a file that goes with the sandbox, and a new one takes its place when it
# ends: without this nobody would see its reports.
reports=$(mktemp -d)
chmod 1777 "$reports" # for what runs as another user, too
trap 'rm -rf "$reports"' EXIT
trap 'exit 1' HUP INT TERM
export ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}log_path=$reports/report"
export UBSAN_OPTIONS="${UBSAN_OPTIONS:+$UBSAN_OPTIONS:}print_stacktrace=1:log_path=$reports/report"
status=0
"$@" || status=$?
for report in "$reports"/report*; do
  [ -s "$report" ] || continue
  echo "FAIL: a sanitizer's report:"
  cat "$report"
  status=1
done
exit "$status"
