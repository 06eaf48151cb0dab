#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Writes what shells need to complete katactl's command line, from what katactl itself says of its commands and options.

make-completions.py KATACTL DIRECTORY
"""
import os
import re
import subprocess
import sys

NAMES = {"bash": "katactl", "zsh": "_katactl", "fish": "katactl.fish"}
HEAD = "# SPDX-License-Identifier: LGPL-2.1-or-later\n# Written by scripts/make-completions.py: edits are lost.\n"
PATHS = ("DIR", "FILE", "PATH", "FILE|-", "BUNDLE", "SOCKET")


class Option:
    def __init__(self, name, letter, value, text):
        self.name, self.letter, self.value, self.text = name, letter, value, text
        self.words = value.split("|") if re.fullmatch(r"[a-z]+(\|[a-z]+)+", value) else []
        self.takes_path = value in PATHS

    def spellings(self):
        return [f"--{self.name}"] + ([f"-{self.letter}"] if self.letter else [])


class Command:
    def __init__(self, name, usage, text, options):
        self.name, self.text, self.options = name, text, options
        self.takes_id = re.match(r"ID\b", usage) is not None
        self.takes_file = "FILE" in usage and "--process" not in usage


def read_options(text):
    found = re.findall(r"(?m)^   --([a-z0-9-]+)(?:, -(\w))?(?: (\S+))? +(\S.*)$", text)
    return [Option(*fields) for fields in found]


def read_commands(katactl):
    """The global options, and the commands but "help"."""
    def ask(*words):
        return subprocess.run([katactl, *words], stdout=subprocess.PIPE, text=True, check=True).stdout
    text = ask("help")
    listed = text.split("Commands:\n")[1].split("\n\n")[0]
    commands = []
    for name, purpose in re.findall(r"(?m)^   (\S+(?: \S+)?) +(\S.*)$", re.sub(r"(?m)^(   \S+ \S+) ", r"\1  ", listed)):
        name = name.strip()
        if name == "help":
            continue
        own = ask("help", *name.split())
        usage = re.search(r"\[OPTIONS\] ?(.*)", own).group(1)
        commands.append(Command(name, usage, purpose, read_options(own)))
    return read_options(text), commands


def first_words(commands):
    """Word -> what it is for; a group is for what its commands are for."""
    words = {}
    for command in commands:
        first, *rest = command.name.split()
        words.setdefault(first, f"{first} commands" if rest else command.text)
    words["help"] = "show help"
    return words


def groups(commands):
    found = {}
    for command in commands:
        if " " in command.name:
            found.setdefault(command.name.split()[0], []).append(command)
    return found


# ---- bash ----

BASH_END = r'''
_katactl() {
  local cur=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]} at='' word value i
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    word=${COMP_WORDS[i]}
    if [[ $word == -* ]]; then
      [[ -z $(_katactl_value "$at" "$word") ]] || ((i++))
    elif [[ -z $at ]]; then
      at=$word
    elif [[ " $(_katactl_words "$at") " == *" $word "* ]]; then
      at="$at $word"
    fi
  done
  value=$(_katactl_value "$at" "$previous")
  case $value in
    path) mapfile -t COMPREPLY < <(compgen -f -- "$cur"); compopt -o filenames 2>/dev/null; return ;;
    text) return ;;
    ?*) mapfile -t COMPREPLY < <(compgen -W "$value" -- "$cur"); return ;;
  esac
  if [[ $cur == -* ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$(_katactl_options "$at")" -- "$cur")
    return
  fi
  value=$(_katactl_words "$at")
  if [[ -n $value ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$value" -- "$cur")
    return
  fi
  case $(_katactl_operand "$at") in
    id) mapfile -t COMPREPLY < <(compgen -W "$(katactl list --quiet 2>/dev/null)" -- "$cur") ;;
    file) mapfile -t COMPREPLY < <(compgen -f -- "$cur"); compopt -o filenames 2>/dev/null ;;
  esac
}
complete -F _katactl katactl
'''


def bash_case(function, subject, rows):
    lines = [f"{function}() {{", f"  case {subject} in"]
    lines += [f"    {pattern}) echo '{text}' ;;" for pattern, text in rows if text]
    return lines + ["  esac", "}"]


def bash_values(at, options):
    for option in options:
        if option.value:
            kind = " ".join(option.words) or ("path" if option.takes_path else "text")
            yield " | ".join(f"'{at} {spelling}'" for spelling in option.spellings()), kind


def write_bash(global_options, commands):
    def spell(options):
        return " ".join(f"--{option.name}" for option in options)
    words = [("''", " ".join(first_words(commands)))]
    words += [(f"'{name}'", " ".join(one.name.split()[1] for one in below)) for name, below in groups(commands).items()]
    words.append(("'help'", " ".join(name for name in first_words(commands) if name != "help")))
    lines = bash_case("_katactl_words", "$1", words)
    lines += bash_case("_katactl_options", "$1", [("''", spell(global_options))] +
                       [(f"'{one.name}'", spell(one.options)) for one in commands])
    lines += bash_case("_katactl_value", '"$1 $2"', list(bash_values("", global_options)) +
                       [row for one in commands for row in bash_values(one.name, one.options)])
    lines += bash_case("_katactl_operand", "$1", [(f"'{one.name}'", "id" if one.takes_id else "file" if one.takes_file
                                                   else "") for one in commands])
    return HEAD + "\n".join(lines) + "\n" + BASH_END


# ---- zsh ----

def zsh_quote(text):
    return text.replace("\\", "\\\\").replace("'", "'\\''").replace("[", "\\[").replace("]", "\\]").replace(":", "\\:")


def zsh_option(option):
    text, value = f"[{zsh_quote(option.text)}]", ""
    if option.value:
        action = f"({' '.join(option.words)})" if option.words else "_files" if option.takes_path else " "
        value = f":{zsh_quote(option.value)}:{action}"
    return [f"'*{spelling}{'=' if value and spelling.startswith('--') else ''}{text}{value}'"
            for spelling in option.spellings()]


def zsh_arguments(command, indent):
    specs = [spec for option in command.options for spec in zsh_option(option)]
    if command.takes_id:
        specs.append("'1:container:_katactl_ids'")
    if command.takes_file:
        specs.append("'*:file:_files'")
    return f"{indent}_arguments -s " + f" \\\n{indent}  ".join(specs)


def zsh_describe(pairs):
    return " ".join(f"'{name}:{zsh_quote(text)}'" for name, text in pairs)


def write_zsh(global_options, commands):
    lines = ["_katactl_ids() {", "  local -a ids", "  ids=(${(f)\"$(katactl list --quiet 2>/dev/null)\"})",
             "  compadd -a ids", "}"]
    for name, below in groups(commands).items():
        lines += [f"_katactl_{name}() {{", "  local line state context", "  _arguments -C '1:command:->word' '*::argument:->rest'",
                  "  case $state in", "    word) local -a list",
                  f"      list=({zsh_describe((one.name.split()[1], one.text) for one in below)})",
                  "      _describe command list ;;", "    rest) case $line[1] in"]
        for one in below:
            lines += [f"      {one.name.split()[1]})", zsh_arguments(one, "        ") + " ;;"]
        lines += ["      esac ;;", "  esac", "}"]
    specs = [spec for option in global_options for spec in zsh_option(option)]
    lines += ["_katactl() {", "  local line state context", "  _arguments -C " + " \\\n    ".join(specs) +
              " \\\n    '1:command:->word' '*::argument:->rest'", "  case $state in", "    word) local -a list",
              f"      list=({zsh_describe(first_words(commands).items())})", "      _describe command list ;;",
              "    rest) case $line[1] in"]
    lines += [f"      {name}) _katactl_{name} ;;" for name in groups(commands)]
    for one in commands:
        if " " not in one.name:
            lines += [f"      {one.name})", zsh_arguments(one, "        ") + " ;;"]
    lines += ["      esac ;;", "  esac", "}", '_katactl "$@"']
    return "#compdef katactl\n" + HEAD + "\n".join(lines) + "\n"


# ---- fish ----

FISH_BEGIN = r'''
# What of the command line names the command; nothing yet: an empty line.
function __katactl_command
    set -l at
    set -l skip 0
    for word in (commandline -opc)[2..-1]
        if test $skip = 1
            set skip 0
        else if string match -q -- '-*' $word
            contains -- $word $__katactl_valued; and set skip 1
        else if test (count $at) = 0
            set at $word
        else if test (count $at) = 1; and contains -- "$at $word" $__katactl_pairs
            set at $at $word
        end
    end
    echo "$at"
end
function __katactl_at
    test (__katactl_command) = "$argv"
end
complete -c katactl -f
'''


def fish_quote(text):
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def fish_condition(at):
    return fish_quote(f"__katactl_at {at}".strip())


def fish_option(at, option):
    line = f"complete -c katactl -n {fish_condition(at)} -l {option.name}"
    if option.letter:
        line += f" -s {option.letter}"
    if option.words:
        line += f" -x -a {fish_quote(' '.join(option.words))}"
    elif option.value:
        line += " -r -F" if option.takes_path else " -x"
    return f"{line} -d {fish_quote(option.text)}"


def write_fish(global_options, commands):
    valued = [spelling for option in global_options if option.value for spelling in option.spellings()]
    pairs = [fish_quote(one.name) for one in commands if " " in one.name]
    lines = [f"set -g __katactl_valued {' '.join(valued)}", f"set -g __katactl_pairs {' '.join(pairs)}", FISH_BEGIN.strip()]
    lines += [fish_option("", option) for option in global_options]
    lines += [f"complete -c katactl -n {fish_condition('')} -a {name} -d {fish_quote(text)}"
              for name, text in first_words(commands).items()]
    for one in commands:
        group, _, word = one.name.rpartition(" ")
        if group:
            lines.append(f"complete -c katactl -n {fish_condition(group)} -a {word} -d {fish_quote(one.text)}")
        lines += [fish_option(one.name, option) for option in one.options]
        if one.takes_id:
            lines.append(f"complete -c katactl -n {fish_condition(one.name)} -a '(katactl list --quiet 2>/dev/null)'")
        if one.takes_file:
            lines.append(f"complete -c katactl -n {fish_condition(one.name)} -F")
    return HEAD + "\n".join(lines) + "\n"


def write_all(katactl):
    """Shell -> the text of its file."""
    global_options, commands = read_commands(katactl)
    return {"bash": write_bash(global_options, commands), "zsh": write_zsh(global_options, commands),
            "fish": write_fish(global_options, commands)}


if __name__ == "__main__":
    for shell, script in write_all(sys.argv[1]).items():
        with open(os.path.join(sys.argv[2], NAMES[shell]), "w", encoding="utf-8") as out:
            out.write(script)
