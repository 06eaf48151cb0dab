// SPDX-License-Identifier: 0BSD
module examples

go 1.19

require libkata v0.0.0

replace libkata => ../../bindings/go
