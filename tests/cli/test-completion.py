#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Shells complete every command and option of katactl. KATA_TEST_REGEN=1 writes the files of completions/ anew."""
import os
import re
import shutil
import subprocess
import sys

import kata_cli

FOLDER = os.path.join(kata_cli.SOURCE, "completions")
MAKER = os.path.join(kata_cli.SOURCE, "scripts/make-completions.py")
SHELLS = {"bash": "katactl", "zsh": "_katactl", "fish": "katactl.fish"}
BASH = """. "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _katactl; printf '%s\\n' "${COMPREPLY[@]}" """


class Completion(kata_cli.CliTest):
    def setUp(self):
        super().setUp()
        # The scripts ask katactl for ids.
        bin_folder = self.world.path("bin")
        os.mkdir(bin_folder)
        os.symlink(kata_cli.KATACTL, os.path.join(bin_folder, "katactl"))
        self.env = dict(self.world.env, PATH=f"{bin_folder}:{os.environ['PATH']}", HOME=self.world.base)

    def in_shell(self, *args):
        result = subprocess.run(args, env=self.env, cwd=self.world.base, capture_output=True, text=True, check=False,
                                timeout=kata_cli.PATIENCE)
        self.assertEqual((result.returncode, result.stderr), (0, ""), args)
        return result.stdout.splitlines()

    def bash(self, *words):
        return [line for line in self.in_shell("bash", "-c", BASH, "bash", f"{FOLDER}/katactl", "katactl", *words) if line]

    def fish(self, line):
        script = f"source '{FOLDER}/katactl.fish'; complete -C '{line}'"
        return [found.split("\t")[0] for found in self.in_shell("fish", "--no-config", "-c", script)]

    def options(self):
        """Command -> its options, as its help has them."""
        return {name: re.findall(r"(?m)^   (--[a-z0-9-]+)", self.ok("help", *name.split())) for name in self.commands()}

    def test_the_files_are_what_katactl_says(self):
        made = self.world.path("made")
        os.mkdir(made)
        self.in_shell(sys.executable, MAKER, kata_cli.KATACTL, made)
        for name in SHELLS.values():
            if os.environ.get("KATA_TEST_REGEN"):
                shutil.copy(os.path.join(made, name), FOLDER)
            with open(os.path.join(made, name), encoding="utf-8") as new, \
                    open(os.path.join(FOLDER, name), encoding="utf-8") as old:
                self.assertEqual(new.read(), old.read(), f"completions/{name}: run this test with KATA_TEST_REGEN=1")

    def test_every_command_and_option_in_bash(self):
        commands = self.options()
        self.assertGreater(len(commands), 25)
        self.assertIn("network update-routes", commands)
        self.assertEqual(set(self.bash("")), {name.split()[0] for name in commands} | {"help"})
        for name, options in commands.items():
            self.assertEqual(self.bash(*name.split(), "--"), options, name)
        self.assertEqual(self.bash("--"), re.findall(r"(?m)^   (--[a-z0-9-]+)", self.ok("help")))

    def test_bash_follows_the_line(self):
        open(self.world.path("list.json"), "w", encoding="utf-8").close()
        for words, wanted in ((("re",), ["restore", "resume"]), (("network", "list"), ["list-ifs", "list-routes"]),
                              (("--root", "run", "net"), ["network"]), (("--debug", "li"), ["list"]),
                              (("--log-format", ""), ["text", "json"]), (("list", "-f", "t"), ["table"]),
                              (("config", "check", "list"), ["list.json"]), (("spec", "--bundle", "list"), ["list.json"]),
                              (("start", ""), []), (("help", "tem"), ["template"])):
            self.assertEqual(self.bash(*words), wanted, words)

    def test_every_command_and_option_in_fish(self):
        commands = self.options()
        self.assertEqual(set(self.fish("katactl ")), {name.split()[0] for name in commands} | {"help"})
        for name in ("run", "network add-if", "exec", "agent call"):
            self.assertLessEqual(set(commands[name]), set(self.fish(f"katactl {name} --")), name)
        self.assertEqual(self.fish("katactl --root run net"), ["network"])
        self.assertEqual(set(self.fish("katactl list --format ")), {"table", "json"})

    def test_every_command_and_option_in_zsh(self):
        self.in_shell("zsh", "-f", "-n", f"{FOLDER}/_katactl")
        # compinit takes the file for katactl's.
        script = f"fpath=('{FOLDER}' $fpath); autoload -Uz compinit; compinit -u -D; print $_comps[katactl]"
        self.assertEqual(self.in_shell("zsh", "-f", "-c", script), ["_katactl"])
        with open(f"{FOLDER}/_katactl", encoding="utf-8") as file:
            text = file.read()
        for name, options in self.options().items():
            part = re.search(rf"(?ms)^      {name.split()[-1]}\)$(.*?);;$", text[text.index(f"_katactl_{name.split()[0]}() {{")
                             if " " in name else text.index("\n_katactl() {"):]).group(1)
            for option in options:
                self.assertRegex(part, rf"\*{option}[=\[]", name)


def require():
    kata_cli.require_katactl()
    for shell in SHELLS:
        if shutil.which(shell) is None:
            kata_cli.skip(f"'{shell}' is not installed")


if __name__ == "__main__":
    kata_cli.main(require)
