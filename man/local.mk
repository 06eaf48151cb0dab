# SPDX-License-Identifier: LGPL-2.1-or-later
dist_man_MANS += man/katactl.8 man/katactl-agent.8 man/kata-agent.8 man/containerd-shim-kata-v2.8
dist_man_MANS += man/libkata.3 man/kata.conf.5 man/kata-annotations.7 man/kata-security.7
dist_man_MANS += man/kata-mkguest.8
