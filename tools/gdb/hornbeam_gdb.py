"""Printers for gdb: terms, pids, references, outcomes and failures as their text.

    gdb -x tools/gdb/hornbeam_gdb.py -p PID

They read memory alone and call nothing in the process, so they work on core files
too. A term reads as `to_string` writes it, long ones cut as `set print elements`
says.
"""

import gdb
import gdb.printing

NAMESPACE = "hornbeam::runtime::"
#: Levels that are shown; what is deeper is `...`.
LEVELS = 20
#: In the second byte of a term's first word: its value is an object.
HEAP = 0xFF
#: The shared part of such an object: two numbers of four bytes.
OBJECT_SIZE = 8


def ours(name):
    return gdb.lookup_type(NAMESPACE + name)


def limit():
    found = gdb.parameter("print elements")
    return found if found else 1 << 30  # none: unlimited


def memory(address, size):
    return bytes(gdb.selected_inferior().read_memory(address, size)) if size else b""


def text_of(raw):
    return raw.decode("utf-8", "backslashreplace")


def std_string(x):
    return text_of(
        memory(int(x["_M_dataplus"]["_M_p"]), int(x["_M_string_length"]))
    )


def std_vector(x):
    first, end = x["_M_impl"]["_M_start"], x["_M_impl"]["_M_finish"]
    for i in range(int(end - first)):
        yield (first + i).dereference()


def std_variant(x, types):
    """The alternative that is there, of those `types`."""
    return x["_M_u"].address.cast(types[int(x["_M_index"])].pointer()).dereference()


def quoted(text, mark):
    out = mark
    for c in text[: limit()]:
        if c in (mark, "\\"):
            out += "\\" + c
        elif c == "\n":
            out += "\\n"
        elif c < " ":
            out += f"\\x{ord(c):02x}"
        else:
            out += c
    return out + mark + ("..." if len(text) > limit() else "")


def joined(items, show, size):
    """The first of `items`, each as `show` has it."""
    shown = [show(x) for _, x in zip(range(limit()), items)]
    return ", ".join(shown + (["..."] if size > len(shown) else []))


# -- kinds of terms -----------------------------------------------------------


def inside(address, type_):
    """What an object holds of that type: it comes first behind the shared part."""
    align = type_.alignof
    at = (address + OBJECT_SIZE + align - 1) // align * align
    return gdb.Value(at).cast(type_.pointer()).dereference()


def big_text(address):
    backend = inside(address, ours("big_integer").strip_typedefs())["m_backend"]
    limbs, data = int(backend["m_limbs"]), backend["m_data"]
    first = data["la"] if backend["m_internal"] else data["ld"]["data"]
    number = sum(int(first[i]) << 64 * i for i in range(limbs))
    return str(-number if backend["m_sign"] else number)


def map_text(address, depth):
    pairs = inside(address, gdb.lookup_type(NAMESPACE + "term::entries"))
    size = int(pairs["_M_impl"]["_M_finish"] - pairs["_M_impl"]["_M_start"])

    def pair(x):
        return f"{term_text(x['first'], depth)} => {term_text(x['second'], depth)}"

    return "#{" + joined(std_vector(pairs), pair, size) + "}"


def array_text(address):
    array = inside(address, ours("array"))
    shape = ", ".join(str(int(x)) for x in std_vector(array["shape"]))
    return f"#Array<{std_string(array['dtype'])} [{shape}]>"


def extension_text(address, depth):
    tag = inside(address, gdb.lookup_type("std::string").strip_typedefs())
    at = int(tag.address) + tag.type.sizeof
    value = gdb.Value(at).cast(ours("term").pointer()).dereference()
    return f"#{std_string(tag)}({term_text(value, depth)})"


def items_text(address, depth, around):
    size = int.from_bytes(memory(address + 4, 4), "little")
    first = gdb.Value(address + OBJECT_SIZE).cast(ours("term").pointer())
    items = ((first + i).dereference() for i in range(size))
    return around.format(joined(items, lambda x: term_text(x, depth), size))


def raw_text(term, head, address):
    """Of an atom, a string or bytes: behind the shared part, or in the term."""
    if head >> 8 & 0xFF == HEAP:
        size = int.from_bytes(memory(address + 4, 4), "little")
        return memory(address + OBJECT_SIZE, size)
    return memory(int(term.address) + 2, head >> 8 & 0xFF)


def term_text(term, depth=LEVELS):
    if depth == 0:
        return "..."
    head, value = int(term["head_"]), term["value_"]
    address = int(value["p"])
    kind = str(gdb.Value(head & 0xFF).cast(ours("term::kind"))).split("::")[-1]
    if kind == "none":
        return "none"
    if kind == "boolean":
        return "true" if int(value["i"]) else "false"
    if kind == "integer":
        return str(int(value["i"]))
    if kind == "big_integer":
        return big_text(address)
    if kind == "floating":
        return repr(float(value["d"]))
    if kind in ("atom", "string", "bytes"):
        text = text_of(raw_text(term, head, address))
        shown = quoted(text, "'" if kind == "atom" else '"')
        return f"<<{shown}>>" if kind == "bytes" else shown
    if kind == "tuple":
        return items_text(address, depth - 1, "{{{}}}")
    if kind == "list":
        return items_text(address, depth - 1, "[{}]")
    if kind == "set":
        return items_text(address, depth - 1, "set({})")
    if kind == "map":
        return map_text(address, depth - 1)
    if kind == "pid":
        return pid_text(inside(address, ours("pid")))
    if kind == "reference":
        return reference_text(inside(address, ours("reference")))
    if kind == "array":
        return array_text(address)
    if kind == "extension":
        return extension_text(address, depth - 1)
    return f"<term of kind {kind}>"


# -- what is no term ----------------------------------------------------------


def mark_text(x):
    """`node.incarnation.serial` of a pid or a reference."""
    if int(x["node"]) == 0:
        return "none"
    origin = x["node"].dereference()
    renamed = origin["renamed_"]["_M_b"]["_M_p"]
    name = renamed.dereference() if int(renamed) else origin["first_name_"]
    return f"{std_string(name)}.{int(origin['incarnation'])}.{int(x['serial'])}"


def pid_text(x):
    return f"<{mark_text(x)}>"


def reference_text(x):
    return f"#Ref<{mark_text(x)}>"


def failure_text(x):
    """`no_connection: "the node web is down" (NodeError, from web@host)`"""
    more = [std_string(x["type"])] if int(x["type"]["_M_string_length"]) else []
    if int(x["node"]["_M_string_length"]):
        more.append(f"from {std_string(x['node'])}")
    code = str(x["code"]).split("::")[-1]
    shown = f"{code}: {quoted(std_string(x['message']), chr(34))}"
    return shown + (f" ({', '.join(more)})" if more else "")


def outcome_text(x):
    found = std_variant(x["value_"], [ours("term"), ours("failure")])
    is_term = found.type.name.endswith("term")
    return f"ok {term_text(found)}" if is_term else f"failed {failure_text(found)}"


class Printer:
    """What gdb asks for the text of a value."""

    def __init__(self, text, value):
        self.text = text
        self.value = value

    def to_string(self):
        return self.text(self.value)


def register(where):
    printers = gdb.printing.RegexpCollectionPrettyPrinter("hornbeam")
    for name, text in (
        ("term", term_text),
        ("pid", pid_text),
        ("reference", reference_text),
        ("failure", failure_text),
        ("outcome", outcome_text),
    ):
        printers.add_printer(
            name, f"^{NAMESPACE}{name}$", lambda x, text=text: Printer(text, x)
        )
    gdb.printing.register_pretty_printer(where, printers, replace=True)


register(None)
