// SPDX-License-Identifier: LGPL-2.1-or-later
module libkata

go 1.19
