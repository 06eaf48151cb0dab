#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Writes section 3 of the manual, a page for each object, from the comments of the public headers.

make-api-pages.py HEADERS VERSION_H DIRECTORY

HEADERS is the directory of the headers, VERSION_H the one that configure writes. What a comment leaves out, or has of an argument that is not
there, is an error: the pages are as complete as the headers.
"""
import os
import re
import sys

# Page -> its header, in the order of libkata(3).
PAGES = {"kata_context": "context.h", "kata_settings": "settings.h", "kata_sandbox": "sandbox.h",
         "kata_container": "container.h", "kata_process": "process.h", "kata_events": "event.h",
         "kata_template": "template.h", "kata_pool": "pool.h",
         "kata_direct_volume": "direct-volume.h", "kata_oci": "oci.h",
         "kata_agent": "agent.h", "kata_domain": "domain.h", "kata_error": "error.h", "kata_version": "version.h"}
# What an item of a comment begins with, at the start of a line or behind a sentence.
LABEL = re.compile(r"(?:(?<=\. )|^)(@\w+(?:, @\w+)*|Returns|Errors|Thread rule(?: for the whole object)?|Since): |"
                   r"(?<=\. )(Returns) (?=@)", re.M)
# Said once for all calls in libkata(3).
WITHOUT_WORDS = {"err"}


# ---- reading ----

class Item:
    """One declaration with its comment."""

    def __init__(self, comment, code):
        self.code = code.strip()
        text = "\n".join(re.sub(r"^ ?\*? ?", "", line.strip()) for line in comment.strip().splitlines()).strip()
        name, colon, rest = text.partition(": ")
        self.name = name if colon and re.fullmatch(r"\w+", name) else ""
        self.labels = {}
        parts = LABEL.split(rest if self.name else text)
        self.purpose = parts[0].strip()
        for label, returns, words in zip(parts[1::3], parts[2::3], parts[3::3]):
            self.labels[(label or returns).lstrip("@").replace("@", "")] = words.strip()
        self.arguments = {names: words for names, words in self.labels.items()
                          if names[0].islower()}

    def is_function(self):
        return re.search(rf"\b{self.name}\(", self.code) is not None and not self.code.startswith(("#", "typedef"))

    def parameters(self):
        inside = re.search(r"\((.*)\)\s*;", self.code, re.S).group(1)
        return [re.search(r"(\w+)\s*$", one).group(1) for one in inside.split(",") if one.strip() != "void"]

    def faults(self):
        """What the comment lacks, or has too much."""
        if not self.name and not self.code.startswith("#"):
            return [f"the comment before '{self.code[:40]}' does not begin with its name"]
        found = [] if "Since" in self.labels else [f"{self.name} does not say since when it is there"]
        if not self.is_function():
            return found
        named = {name for names in self.arguments for name in names.split(", ")}
        parameters = self.parameters()
        found += [f"{self.name} describes '{name}', which it does not take" for name in sorted(named - set(parameters))]
        if re.search(r"\b(as|As|all else as) kata_\w+\(\)", self.purpose + str(self.arguments)):
            return found
        # The object itself needs no words.
        needed = parameters[1:] if re.search(r"\((const |struct )?kata_(?!error )\w+ \*(?!\*)", self.code) else parameters
        return found + [f"{self.name} does not describe '{name}'" for name in needed if name not in named | WITHOUT_WORDS]


def declaration_end(text, start):
    """Where the declaration at start ends."""
    if text[start] == "#":
        end = start
        while True:
            end = text.index("\n", end)
            if text[end - 1] != "\\":
                break
            end += 1
        following = re.compile(r"#define [^\n]*\n").match(text, end + 1)
        return declaration_end(text, end + 1) if following else end
    if text.startswith("typedef", start) and "{" in text[start:text.index(";", start)]:
        return text.index(";", text.index("}", start)) + 1
    return text.index(";", start) + 1


def read_header(path):
    """The line that says what the header is for, and its items."""
    with open(path, encoding="utf-8") as file:
        text = file.read()
    title = re.search(r"(?m)^/\* (?!SPDX)(.*?) \*/$", text).group(1)
    items = []
    for match in re.finditer(r"/\*\*(.*?)\*/\n", text, re.S):
        item = Item(match.group(1), text[match.end():declaration_end(text, match.end())])
        items.append(item)
    return title, items


# ---- writing ----

def literal(text):
    """Text that troff shows as it is."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-").replace('"', "\\(dq").replace("'", "\\(aq")
    return "\n".join("\\&" + line if line[:1] in ".'" else line for line in escaped.splitlines())


def words(text):
    """Prose: names of calls and of constants bold, arguments italic, a sentence on each line."""
    text = literal(" ".join(text.split()))
    text = re.sub(r"@(\w+)", r"\\fI\1\\fP", text)
    text = re.sub(r"\b(kata_\w+)(?=\()", r"\\fB\1\\fP", text)
    text = re.sub(r"\b(KATA_[A-Z_]+)\b", r"\\fB\1\\fP", text)
    text = re.sub(r"(?<![\w.])(\w[\w.\\-]*)(?=\(\d\))", r"\\fB\1\\fP", text)
    lines = re.split(r"(?<=[.:])\s(?=[A-Z\\])", text)
    return "\n".join("\\&" + line if line[:1] in ".'" else line for line in lines)


def sentence(text):
    """With a capital letter in front, unless a name stands there, and a full stop behind."""
    text = text.strip()
    if re.match(r"[a-z]+\b(?![_(])", text):
        text = text[0].upper() + text[1:]
    return text if text.endswith((".", ":", "?")) else text + "."


def example(code):
    return [".PP", ".RS 4", ".EX", literal(code), ".EE", ".RE"]


def tagged(tag, text):
    return [".TP", tag, words(sentence(text))]


def function_lines(item):
    lines = [f'.SS "{item.name}()"'] + ([words(sentence(item.purpose))] if item.purpose else [])
    lines += example(item.code)
    for names, text in item.arguments.items():
        lines += tagged(".I " + '", "'.join(names.split(", ")).join('""') if ", " not in names else
                        ".IR " + ' ", " '.join(names.split(", ")), text)
    for label in ("Returns", "Errors"):
        if label in item.labels:
            lines += tagged(f"{label}:", item.labels[label])
    return lines + [".PP", f"Since {item.labels['Since'].rstrip('.')}."]


def type_lines(item):
    lines = [f'.SS "{item.name or "Version of the headers"}"']
    lines += [words(sentence(part)) for part in re.split(r"\n\s*\n", item.purpose)]
    if item.code.startswith("#") or "{" in item.code:
        lines += example(item.code)
    for label, text in item.labels.items():
        if label.startswith("Thread rule"):
            lines += [".PP", f"Thread rule: {words(text)}"]
    return lines + [".PP", f"Since {item.labels['Since'].rstrip('.')}."]


def make_page(name, title, items, version):
    functions = [item for item in items if item.is_function()]
    others = [item for item in items if not item.is_function()]
    subject, _, purpose = title.rstrip(".").partition(": ")
    purpose = purpose or subject[0].lower() + subject[1:]
    names = [name] + [item.name for item in functions if item.name != name]
    lines = [".\\\" SPDX-License-Identifier: LGPL-2.1-or-later",
             ".\\\" Made by scripts/make-api-pages.py from the public headers: edits are lost.",
             f'.TH {name.upper()} 3 "" "libkata {version}" "Library functions"',
             ".nh", ".ad l", ".SH NAME", literal(", ".join(names)) + " \\- " + literal(purpose),
             ".SH SYNOPSIS", ".EX", "#include <kata/kata.h>", "", "cc program.c $(pkg\\-config \\-\\-cflags \\-\\-libs libkata)",
             ".EE", ".SH DESCRIPTION",
             "What holds for every call, errors, flags, NULL and threads among it, is in", ".BR libkata (3)."]
    for item in others:
        lines += type_lines(item)
    lines.append(".SH FUNCTIONS")
    for item in functions:
        lines += function_lines(item)
    lines.append(".SH SEE ALSO")
    related = [f".BR {literal(other)} (3)," for other in PAGES if other != name]
    return "\n".join(lines + [".BR libkata (3),"] + related).rstrip(",") + "\n"


def main():
    headers, version_header, directory = sys.argv[1:]
    with open(version_header, encoding="utf-8") as file:
        version = re.search(r'(?m)^#define KATA_VERSION "(.*)"', file.read()).group(1)
    faults = []
    for name, header in PAGES.items():
        title, items = read_header(version_header if header == "version.h" else os.path.join(headers, header))
        found = [f"{header}: {fault}" for item in items for fault in item.faults()]
        if not found:
            with open(os.path.join(directory, f"{name}.3"), "w", encoding="utf-8") as file:
                file.write(make_page(name, title, items, version))
        faults += found
    if faults:
        sys.exit("\n".join(faults))


if __name__ == "__main__":
    main()
