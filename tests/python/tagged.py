"""What CPython's own C unpickler makes of a stream, as JSON in the tagged form.

Nothing is imported: every global is a stand-in that records what is done with it, but for
calls by which older protocols spell plain values. An implementation of its own: it shares nothing
with the Rust one but the table of the form.
"""

import base64
import builtins
import codecs
import itertools
import pickle


class Stub(type):
    """A global: a class that can be called, instantiated, and given state."""

    def __call__(cls, *args, **kwargs):
        builtin = plain(cls.called, args) if not kwargs else None
        return Made("call", cls, args, kwargs or None) if builtin is None else builtin

    def __getattribute__(cls, name):
        if name == "__setstate__":
            return lambda state: effects_on(cls).append(("state", [state]))
        if name in ("append", "extend", "add", "__dict__"):
            raise AttributeError(name)
        return type.__getattribute__(cls, name)


EFFECTS = {}


def effects_on(obj):
    return EFFECTS.setdefault(id(obj), (obj, []))[1]


class Made:
    """What a call or an instantiation would have given."""

    def __init__(self, how, what, args, kwargs):
        self.how, self.what, self.args, self.kwargs = how, what, args, kwargs
        self.effects = []

    def __call__(self, *args, **kwargs):
        return Made("call", self, args, kwargs or None)

    def __setstate__(self, state):
        self.effects.append(("state", [state]))

    def append(self, item):
        self.effects.append(("append", [item]))

    def extend(self, items):
        self.effects.append(("append", list(items)))

    def add(self, item):
        self.effects.append(("add", [item]))

    def __setitem__(self, key, value):
        self.effects.append(("set", [(key, value)]))


class Persistent(Made):
    def __init__(self, pid):
        super().__init__("persistent", None, (), None)
        self.pid = pid


def plain(called, args):
    """What a call gives by which protocols spell a plain value; None for any other call."""
    module, name = called
    types = [type(arg) for arg in args]
    if called == ("_codecs", "encode") and types == [str, str] and args[1] in ("latin1", "latin-1"):
        return args[0].encode("latin1") if all(ord(char) < 256 for char in args[0]) else None
    if module not in ("builtins", "__builtin__"):
        return None
    if name in ("set", "frozenset") and types in ([], [list], [tuple]):
        return (set if name == "set" else frozenset)(*args)
    if name == "complex" and types == [float, float]:
        return complex(*args)
    if name in ("bytes", "bytearray"):
        kind = bytes if name == "bytes" else bytearray
        if types in ([], [bytes]):
            return kind(*args)
        if types == [str, str] and args[1] in ("latin1", "latin-1"):
            return kind(*args) if all(ord(char) < 256 for char in args[0]) else None
    return None


PRIVATE = 0x10F000


def python2(error):
    """Bytes beyond ASCII of a Python 2 string become characters that nothing else uses."""
    return "".join(chr(PRIVATE + b) for b in error.object[error.start : error.end]), error.end


codecs.register_error("python2", python2)


class Unpickler(pickle.Unpickler):
    def __init__(self, file, resolve=False):
        super().__init__(
            file,
            encoding="ascii",
            errors="python2",
            buffers=(memoryview(bytearray(b"%d" % n)) for n in itertools.count()),
        )
        self.known = {}
        self.resolve = resolve

    def find_class(self, module, name):
        if self.resolve and module == "builtins" and name in ("int", "len", "list"):
            return getattr(builtins, name)
        return self.stub(module, name)

    def stub(self, module, name):
        if (module, name) not in self.known:
            new = lambda cls, *args, **kwargs: Made("new", cls, args, kwargs or None)
            self.known[module, name] = Stub("stub", (), {"__new__": new, "called": (module, name)})
        return self.known[module, name]

    def persistent_load(self, pid):
        return Persistent(pid)


def quoted(text):
    out = ['"']
    for char in text:
        if char in '"\\':
            out.append("\\" + char)
        elif char in "\n\r\t":
            out.append({"\n": "\\n", "\r": "\\r", "\t": "\\t"}[char])
        elif char < " " or char == "\x7f":
            out.append("\\u%04x" % ord(char))
        else:
            out.append(char)
    return "".join(out) + '"'


def number(value):
    """The shortest float that reads back the same, as the tagged form writes it."""
    if value != value:
        return '{"$float":"nan"}'
    if value in (float("inf"), float("-inf")):
        return '{"$float":"%r"}' % value
    mantissa, e, exponent = repr(value).partition("e")
    return mantissa + (e and "e%d" % int(exponent))


def tag(name, data):
    return '{"%s":"%s"}' % (name, base64.b64encode(bytes(data)).decode())


def dotted(called):
    """The name of a global as a JSON string, which cannot hold surrogates."""
    raw = ".".join(called).encode("utf-8", "surrogatepass")
    return quoted(raw.decode("utf-8", "replace"))


def scalar(value):
    """JSON of what holds nothing else; None for what does."""
    kind = type(value)
    if value is None:
        return "null"
    if kind is bool:
        return "true" if value else "false"
    if kind is int:
        if abs(value) <= 2**53:
            return str(value)
        # Two's complement bytes, as many as 4,300 digits take.
        if (value if value >= 0 else ~value).bit_length() // 8 + 1 > 1786:
            digits = "%x" % abs(value)
            digits = "0" * (len(digits) % 2) + digits
            return '{"$int_hex":"%s0x%s"}' % ("-" if value < 0 else "", digits)
        return '{"$int":"%d"}' % value
    if kind is float:
        return number(value)
    if kind is complex:
        return '{"$complex":[%s,%s]}' % (number(value.real), number(value.imag))
    if kind is str:
        if any(PRIVATE <= ord(char) < PRIVATE + 256 for char in value):
            raw = bytes(ord(char) & 0xFF for char in value)
            return tag("$str8", raw)
        try:
            value.encode()
        except UnicodeEncodeError:
            return tag("$str", value.encode("utf-8", "surrogatepass"))
        return quoted(value)
    if kind is bytes:
        return tag("$bytes", value)
    if kind is memoryview:
        index = bytes(value).decode() if bytes(value).isdigit() else "null"  # A view of bytes.
        return '{"$buffer":%s,"readonly":%s}' % (index, "true" if value.readonly else "false")
    if isinstance(value, Stub):
        return '{"$global":%s}' % dotted(value.called)
    if kind is tuple and not value:
        return '{"$tuple":[]}'
    return None


RECONSTRUCTOR = ("copyreg", "_reconstructor"), ("copy_reg", "_reconstructor")
LOWERCASE = {
    "collections": "defaultdict deque",
    "datetime": "datetime date time timedelta timezone tzinfo",
    "functools": "partial",
    "itertools": "count cycle repeat chain",
    "builtins": "bool bytearray bytes complex dict float frozenset int list object range set "
    "slice str tuple type",
    "numpy": "dtype ndarray",
    "torch": "device dtype",
}


def is_class(stub):
    module, name = stub.called
    last = name.split(".")[-1]
    first = last.lstrip("_")[:1]
    module = "builtins" if module == "__builtin__" else module
    return first.isascii() and first.isupper() or name in LOWERCASE.get(module, "").split()


def commas(parts):
    """Parts (lists of pieces) in a row, apart by commas."""
    out = []
    for index, part in enumerate(parts):
        if index:
            out.append(",")
        out.extend(part)
    return out


def pieces(value):
    """JSON of a container: strings, and what stands in it as one-tuples."""
    kind = type(value)
    if kind is list:
        return ["[", *commas([(item,)] for item in value), "]"]
    if kind is tuple:
        return ['{"$tuple":[', *commas([(item,)] for item in value), "]}"]
    if kind in (set, frozenset):
        return ['{"$%s":[' % kind.__name__, *commas([(item,)] for item in value), "]}"]
    if kind is bytearray:
        return [tag("$bytearray", value)]
    if kind is dict:
        plain = lambda key: type(key) is str and (scalar(key) or "").startswith('"')
        if all(plain(key) and not key.startswith("$") for key in value):
            return ["{", *commas([quoted(k) + ":", (v,)] for k, v in value.items()), "}"]
        return ['{"$dict":[', *pairs(value.items()), "]}"]
    if kind is Persistent:
        return ['{"$persistent":', (value.pid,), "}"]
    return made(value)


def pairs(items):
    return commas(["[", (key,), ",", (value,), "]"] for key, value in items)


def made(value):
    what, args = value.what, value.args
    instance = value.how == "new" or isinstance(what, Stub) and is_class(what)
    if isinstance(what, Stub) and what.called in RECONSTRUCTOR:
        if len(args) == 3 and args[2] is None:
            instance, what, args = True, args[0], ()
    name = [dotted(what.called)] if isinstance(what, Stub) else [(what,)]
    out = ['{"$object":' if instance else '{"$call":', *name]
    if args:
        out += [',"args":[', *commas([(arg,)] for arg in args), "]"]
    if value.kwargs is not None:
        out += [',"kwargs":', (value.kwargs,)]
    for index, state in enumerate(items for kind, items in value.effects if kind == "state"):
        out += [',"state":' if index == 0 else ',"then_state":', (state[0],)]
    for wanted, open in (("append", ',"list":['), ("add", ',"added":[')):
        items = [item for kind, items in value.effects if kind == wanted for item in items]
        if items:
            out += [open, *commas([(item,)] for item in items), "]"]
    items = [item for kind, items in value.effects if kind == "set" for item in items]
    if items:
        out += [',"items":[', *pairs(unique(items)), "]"]
    return out + ["}"]


def unique(items):
    """Pairs as a dict keeps them; keys that only a class of its own admits, by identity."""
    out = {}
    for key, value in items:
        try:
            place = (True, key)
            hash(place)
        except (TypeError, ValueError):
            place = (False, id(key))
        out[place] = (out.get(place, (key,))[0], value)
    return out.values()


def walk(value, met, write):
    """Goes through a value; `met` says for a container what to write instead of opening it."""
    todo = [(value,)]
    while todo:
        step = todo.pop()
        if isinstance(step, str):
            write(step)
            continue
        text = scalar(step[0])
        if text is not None:
            write(text)
            continue
        todo.extend(reversed(met(step[0])))


def to_json(value):
    count = {}

    def first(container):
        count[id(container)] = count.get(id(container), 0) + 1
        return pieces(container) if count[id(container)] == 1 else []

    walk(value, first, lambda text: None)
    numbers, out = {}, []

    def second(container):
        key = id(container)
        if count[key] == 1:
            return pieces(container)
        if key in numbers:
            return ['{"$ref":%d}' % numbers[key]]
        numbers[key] = len(numbers) + 1
        return ['{"$id":%d,"value":' % numbers[key], *pieces(container), "}"]

    walk(value, second, out.append)
    return "".join(out)
