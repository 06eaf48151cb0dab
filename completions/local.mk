# SPDX-License-Identifier: LGPL-2.1-or-later
# What shells complete of katactl's command line; scripts/make-completions.py writes these files.
bashcompletiondir = $(datadir)/bash-completion/completions
dist_bashcompletion_DATA = completions/katactl
zshcompletiondir = $(datadir)/zsh/site-functions
dist_zshcompletion_DATA = completions/_katactl
fishcompletiondir = $(datadir)/fish/vendor_completions.d
dist_fishcompletion_DATA = completions/katactl.fish
EXTRA_DIST += scripts/make-completions.py
