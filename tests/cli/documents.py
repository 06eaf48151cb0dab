# SPDX-License-Identifier: LGPL-2.1-or-later
"""README and docs as the tests see them: blocks with what is said of each, and terminals at which they are typed.

    ```sh       is run, with bash -eu; what it starts it ends
    ```output   what the block before it shows; "..." stands for any text
    ```console  is typed at a terminal: what stands behind "# " at a shell of the host, behind "/ # " at one of a container,
                each when that prompt is there; what stands between them is shown. The terminal stays for the next such block

The line before a block may say more of it:

    <!-- file: NAME -->                 it is the file NAME
    <!-- second terminal -->            it is typed at another terminal than the one before
    <!-- in: the sources -->            test-docs-build.py runs it, in a view of the tree that nobody else sees
    <!-- in: a clone -->                so too, where "git clone" can be told to clone URL
    <!-- in: containerd -->             tests/engines/test-containerd-kata.py runs it, with a containerd of its own
    <!-- in: quickstart check -->       it is what has started the test
"""
import dataclasses
import glob
import os
import pty
import re
import select
import subprocess
import termios
import time

import kata_cli

NAMES = ["README.md", "bindings/go/README.md", "bindings/python/README.md", "tests/bindings/README.md"] + sorted(
    os.path.relpath(path, kata_cli.SOURCE) for path in glob.glob(os.path.join(kata_cli.SOURCE, "docs/*.md")))
PLACES = ("the sources", "a clone", "containerd", "quickstart check")
BLOCK = re.compile(r"(?ms)^(?:<!-- ([^\n]*) -->\n)?( *)```(\w*)\n(.*?)^ *```$")
PROMPT = re.compile(r"(?m)^((?:/ )?#)(?: |$)")
SHOWN_PROMPT = re.compile(r"(?:^|\n)((?:/ )?#) $")
# A shell that edits lines asks the terminal where the cursor is.
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@dataclasses.dataclass
class Block:
    document: str
    comment: str
    kind: str
    body: str

    @property
    def is_shell(self):
        return self.kind in ("sh", "console") and self.file is None

    @property
    def place(self):
        """None: beside the others of its document."""
        return self.comment[4:] if self.comment.startswith("in: ") else None

    @property
    def file(self):
        return self.comment[6:] if self.comment.startswith("file: ") else None


def read(document):
    with open(os.path.join(kata_cli.SOURCE, document), encoding="utf-8") as file:
        return file.read()


def blocks(document):
    return [Block(document, comment, kind, re.sub(rf"(?m)^{indent}", "", body))
            for comment, indent, kind, body in BLOCK.findall(read(document))]


def of_place(*places):
    return [block for document in NAMES for block in blocks(document) if block.place in places]


def matches(expected, shown):
    """But for what "..." stands for, and blanks at the ends of lines."""
    pattern = ".*".join(re.escape(part) for part in re.split(r" *\.\.\. *", expected.rstrip()))
    return re.match(f"^{pattern}$", re.sub(r"(?m) +$", "", shown).rstrip(), re.S) is not None


class Terminal:
    """A shell of the host that somebody types at."""

    def __init__(self, directory, env):
        self.master, slave = pty.openpty()
        settings = termios.tcgetattr(slave)
        settings[3] &= ~termios.ECHO
        termios.tcsetattr(slave, termios.TCSANOW, settings)
        self.shell = subprocess.Popen(
            ["setsid", "--ctty", "bash", "--norc", "--noprofile", "--noediting", "-i"], cwd=directory, stdin=slave, stdout=slave,
            stderr=slave, env=dict(env, PS1="# ", PS2="", TERM="dumb"))
        os.close(slave)
        self.prompt = None
        self.typed = ""

    def read_to_prompt(self):
        """What is shown until somebody asks for the next line."""
        text = ""
        end = time.monotonic() + kata_cli.PATIENCE
        while not SHOWN_PROMPT.search(text):
            if not select.select([self.master], [], [], max(0, end - time.monotonic()))[0]:
                raise AssertionError(f"no prompt after: {self.typed}but:\n{text}")
            try:
                read = os.read(self.master, 65536)
            except OSError as error:
                raise AssertionError(f"the shell ended after: {self.typed}with:\n{text}") from error
            text = ESCAPES.sub("", text + read.decode(errors="replace").replace("\r", ""))
        self.prompt = SHOWN_PROMPT.search(text)[1]
        text = SHOWN_PROMPT.sub("\n", text)
        # The container's terminal shows what is typed there.
        return text.removeprefix(self.typed).lstrip("\n")

    def expect_prompt(self, prompt):
        """The prompt comes by itself, after what was typed at another terminal."""
        if self.prompt != prompt:
            self.typed = ""
            self.read_to_prompt()
        if self.prompt != prompt:
            raise AssertionError(f"the terminal asks by '{self.prompt}', not by '{prompt}'")

    def type_block(self, block):
        parts = PROMPT.split(block.body)
        if parts[0]:
            raise AssertionError(f"{block.document}: no prompt before: {parts[0]}")
        for prompt, rest in zip(parts[1::2], parts[2::2]):
            typed = re.match(r"(?:.*\\\n)*.*\n", rest)[0]
            self.expect_prompt(prompt)
            if not typed.strip():
                continue
            self.typed, self.prompt = typed, None
            os.write(self.master, typed.encode())
            shown = self.read_to_prompt()
            if not matches(rest[len(typed):], shown):
                raise AssertionError(f"{block.document}: {typed}shows:\n{shown}and should:\n{rest[len(typed):]}")

    def close(self):
        """Whoever types at it is back at the host."""
        self.expect_prompt("#")
        os.write(self.master, b"exit 0\n")
        self.shell.wait(kata_cli.PATIENCE)

    def destroy(self):
        self.shell.kill()
        self.shell.wait()
        os.close(self.master)


class Terminals:
    """The two of one document."""

    def __init__(self, directory, env):
        self.directory, self.env = directory, env
        self.open = {}

    def type_block(self, block):
        """At the first, unless it says so."""
        number = 2 if block.comment == "second terminal" else 1
        if number not in self.open:
            self.open[number] = Terminal(self.directory, self.env)
        self.open[number].type_block(block)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        try:
            for terminal in self.open.values():
                if kind is None:
                    terminal.close()
        finally:
            for terminal in self.open.values():
                terminal.destroy()
