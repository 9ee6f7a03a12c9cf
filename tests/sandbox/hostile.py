"""Programs that try to get out, to lie, or to bring the host down. Each is data: a name, a source, the text of its arguments.

`value` is what a harmless answer looks like: a value that proves nothing was reached. Anything else must be a Failure.
"""
# ruff: noqa: E501 - programs read best on one line

from typing import Any, NamedTuple


class Hostile(NamedTuple):
    name: str
    program: str
    inputs: str = ""
    harmless: tuple[Any, ...] = ()


def body(*lines: str) -> str:
    return "def f(*a):\n" + "\n".join("    " + line for line in lines)


LOOP_CATCHING_ALL = body(
    "while True:",
    "    try:",
    "        while True: pass",
    "    except BaseException: pass",
)

PROGRAMS = [
    # imports
    Hostile(
        "import_os_system", "import os\n" + body("return os.system('echo x > /tmp/escaped')"), harmless=(32512, 127, -1)
    ),
    Hostile("import_subprocess", "import subprocess\n" + body("return subprocess.check_output(['id'])")),
    Hostile("import_socket", "import socket\n" + body("s = socket.create_connection(('1.1.1.1', 53), 1)", "return 1")),
    Hostile(
        "import_low_socket",
        "import _socket\n" + body("s = _socket.socket()", "s.connect(('127.0.0.1', 22))", "return 1"),
    ),
    Hostile("import_ctypes", "import ctypes\n" + body("ctypes.string_at(0)", "return 1")),
    Hostile("import_ctypes_libc", "import ctypes\n" + body("return ctypes.CDLL(None).getpid()"), harmless=(1,)),
    Hostile(
        "import_importlib", "import importlib\n" + body("return importlib.import_module('subprocess').getoutput('id')")
    ),
    Hostile("import_dynamic", body("return __import__('os').listdir('/etc')")),
    Hostile("import_builtins", "import builtins\n" + body("return builtins.open('/etc/passwd').read()")),
    Hostile("import_sys_modules", "import sys\n" + body("return sys.modules['os'].listdir('/etc')")),
    Hostile("import_host_package", "import synthwright\n" + body("return 1")),
    Hostile("import_star", "from os import *\n" + body("return listdir('/etc')")),
    Hostile(
        "import_pickle",
        "import pickle\n" + body("return pickle.loads(b'cos\\nsystem\\n(S\"id\"\\ntR.')"),
        harmless=(32512,),
    ),
    Hostile(
        "import_gc",
        "import gc\n" + body("return [o for o in gc.get_objects() if isinstance(o, dict) and 'PATH' in o][0]['PATH']"),
    ),
    Hostile(
        "import_multiprocessing", "import multiprocessing\n" + body("multiprocessing.Process(target=print).start()")
    ),
    # walks over attributes
    Hostile(
        "walk_subclasses",
        body("return [c for c in ().__class__.__base__.__subclasses__() if c.__name__ == 'Popen'][0](['id']).pid"),
    ),
    Hostile("walk_globals", body("return f.__globals__['__builtins__']['open']('/etc/passwd').read()")),
    Hostile("walk_code", body("return f.__code__.co_filename"), harmless=("<string>",)),
    Hostile(
        "walk_frames",
        body(
            "try:",
            "    1/0",
            "except Exception as e:",
            "    return str(e.__traceback__.tb_frame.f_back.f_globals['__file__'])",
        ),
    ),
    Hostile("walk_loader", body("return str(__loader__.get_data('/etc/passwd'))")),
    Hostile(
        "walk_getattr",
        body(
            "return getattr(getattr((), '__cl' + 'ass__'), '__mro__')[1].__subclasses__().__len__() and open('/etc/passwd').read()"
        ),
    ),
    Hostile("walk_format", body("return '{0.__class__.__init__.__globals__[os].environ}'.format(f)")),
    Hostile(
        "walk_format_map",
        body("return '{x.__globals__[__builtins__][open]}'.format_map({'x': f})[:9]"),
        harmless=("<built-in",),
    ),
    # lies about equality, hash, class and text
    Hostile("lie_eq", "class E:\n    def __eq__(self, o): return True\n" + body("return E()")),
    Hostile(
        "lie_eq_in_list",
        "class E:\n    def __eq__(self, o): return True\n    def __hash__(self): return 1\n"
        + body("return [E(), {E(): 1}]"),
    ),
    Hostile(
        "lie_int_subclass",
        "class E(int):\n    def __eq__(self, o): return True\n    __hash__ = int.__hash__\n" + body("return E(3)"),
    ),
    Hostile("lie_class", "class E:\n    @property\n    def __class__(self): return int\n" + body("return E()")),
    Hostile("lie_repr", "class E:\n    def __repr__(self): return '42'\n    __str__ = __repr__\n" + body("return E()")),
    Hostile(
        "lie_metaclass",
        "class M(type):\n    def __eq__(s, o): return True\n    def __hash__(s): return hash(int)\nclass E(metaclass=M): pass\n"
        + body("return E()"),
    ),
    Hostile("lie_reduce", "class E:\n    def __reduce__(self): return (print, ('escaped',))\n" + body("return E()")),
    Hostile("lie_dict_subclass", "class D(dict):\n    def items(self): return [(1, print)]\n" + body("return D(a=1)")),
    Hostile(
        "lie_exception_text",
        "class E(Exception):\n    def __str__(self):\n        while True: pass\n" + body("raise E()"),
    ),
    Hostile(
        "lie_exception_bomb", "class E(Exception):\n    def __str__(self): return 'x' * 10**9\n" + body("raise E()")
    ),
    Hostile("lie_exception_type", "class E(Exception):\n    def __str__(self): return 5\n" + body("raise E()")),
    # what is no value
    Hostile("no_value_function", body("return lambda: 1")),
    Hostile("no_value_module", "import math\n" + body("return math")),
    Hostile("no_value_generator", "def f():\n    while True:\n        yield 1\n"),
    Hostile("no_value_cycle", body("x = []", "x.append(x)", "return x")),
    Hostile("no_value_dict_cycle", body("x = {}", "x['x'] = x", "return x")),
    Hostile("no_value_deep", body("x = []", "for _ in range(100000): x = [x]", "return x")),
    Hostile("no_value_class", body("return int")),
    Hostile("no_value_endless_iterator", "import itertools\n" + body("return itertools.count()")),
    # arguments and source
    Hostile("inject_close_call", body("return a"), inputs="1) or True or f(2"),
    Hostile("inject_second_argument", body("return a"), inputs="1), __import__('os').system('id'"),
    Hostile("inject_call", body("return a"), inputs="__import__('os').getcwd()"),
    Hostile("inject_comprehension", body("return a"), inputs="[x for x in range(3)]"),
    Hostile("inject_newline", body("return a"), inputs="1)\nimport os\nf(2"),
    Hostile("inject_comment", body("return a"), inputs="1) #"),
    Hostile("inject_keyword", body("return a"), inputs="x=1"),
    Hostile("inject_star", body("return a"), inputs="*[1, 2]"),
    Hostile("inject_walrus", body("return a"), inputs="(f := 1)"),
    Hostile("source_nul", "def f():\n    return 1\0"),
    Hostile("source_deep_brackets", "x = " + "(" * 3000 + "1" + ")" * 3000 + "\n" + body("return 1")),
    Hostile("source_deep_minus", "x = " + "-" * 30000 + "1\n" + body("return 1")),
    Hostile("source_deep_attributes", "x = f" + ".a" * 20000 + "\n" + body("return 1")),
    Hostile("source_surrogate", "def f():\n    return '\ud800'"),
    Hostile("source_null_names", body("return ｏｐｅｎ('/etc/passwd').read()")),
    Hostile("source_endless_module", "while True: pass\n" + body("return 1")),
    # time
    Hostile("time_loop", body("while True: pass")),
    Hostile("time_catch_everything", LOOP_CATCHING_ALL),
    Hostile("time_finally", body("while True:", "    try:", "        return 1", "    finally:", "        continue")),
    Hostile("time_sleep", "import time\n" + body("while True: time.sleep(1000)")),
    Hostile(
        "time_regex",
        "import re\n"
        + body(
            "return bool(re.match(r'(a|a)*(b|b)*\\1\\2$', 'a' * 5000 + 'c'))",
        ),
        harmless=(False,),
    ),
    Hostile(
        "time_regex_nested",
        "import re\n" + body("return bool(re.match(r'^(([a-z])+.)+[A-Z]([a-z])+$', 'a' * 100))"),
        harmless=(False,),
    ),
    Hostile("time_pow", body("return pow(7, 10**9) % 10")),
    Hostile("time_factorial", "import math\n" + body("return math.factorial(10**7) % 10")),
    Hostile("time_sum", body("return sum(range(10**12))")),
    Hostile(
        "time_membership",
        body(
            "return 10**15 + 0.5 in range(10**16)",
        ),
        harmless=(False,),
    ),
    Hostile("time_endless_generator", "import itertools\n" + body("return sum(x for x in itertools.count())")),
    Hostile(
        "time_ignore_signals",
        "import signal\nfor s in (14, 15, 2, 24): signal.signal(s, signal.SIG_IGN)\n" + body("while True: pass"),
    ),
    # memory and output
    Hostile("memory_giant_int", body("return 10 ** 10 ** 8")),
    Hostile("memory_shift", body("return 1 << 10 ** 11")),
    Hostile("memory_string", body("return 'x' * 10 ** 10")),
    Hostile("memory_list", body("x = []", "while True: x.append('x' * 10 ** 6)")),
    Hostile(
        "memory_catching",
        body("x = []", "while True:", "    try:", "        x.append('x' * 10 ** 7)", "    except BaseException: pass"),
    ),
    Hostile("memory_format", body("return '%1000000000d' % 1")),
    Hostile("memory_fstring", body("return f'{1:>10000000000}'")),
    Hostile("memory_join", body("return ','.join(['a' * 1000] * 10 ** 7)")),
    Hostile("memory_replace", body("return ('a' * 10 ** 5).replace('a', 'b' * 10 ** 5)")),
    Hostile("memory_permutations", "import itertools\n" + body("return len(list(itertools.permutations(range(11))))")),
    Hostile("output_shared_lists", body("return [[0] * 1000] * 1000000")),
    Hostile("output_exponential", body("x = [1] * 10", "for _ in range(40): x = [x] * 10", "return x")),
    Hostile("output_long_string", body("return 'x' * 50000")),
    Hostile("output_long_bytes", body("return b'x' * 50000")),
    Hostile("output_big_int", body("return 7 ** 60000")),
    Hostile("output_many_keys", body("return {i: i for i in range(50000)}")),
    Hostile("output_prints", body("while True: print('x' * 10000)")),
    Hostile("output_exception", body("raise ValueError('x' * 10 ** 7)")),
    Hostile("output_int_to_text", body("return str(10 ** 5000)")),
    # recursion
    Hostile("recursion_plain", "def f(n=0):\n    return f(n + 1)"),
    Hostile("recursion_mutual", "def g(n): return f(n)\ndef f(n=0): return g(n)"),
    Hostile("recursion_lambda", "f = lambda n=0: f(n)"),
    Hostile(
        "recursion_catching",
        "def f(n=0):\n    try:\n        return f(n + 1)\n    except RecursionError:\n        return f(n)",
        harmless=(),
    ),
    Hostile(
        "recursion_repr", body("x = []", "for _ in range(10 ** 5): x = [x]", "return len(repr(x))"), harmless=(2099,)
    ),
    # processes and files
    Hostile("process_fork", "import os\n" + body("while True: os.fork()")),
    Hostile(
        "process_fork_leave",
        "import os\n" + body("if os.fork() == 0:", "    os.setsid()", "    while True: pass", "return 1"),
    ),
    Hostile(
        "process_kill_parent",
        "import os\n" + body("os.kill(os.getppid(), 9)", "os.kill(-1, 9)", "return 1"),
        harmless=(1,),
    ),
    Hostile("process_exit", "import os\n" + body("os._exit(0)")),
    Hostile("process_exec", "import os\n" + body("os.execv('/bin/sh', ['sh', '-c', 'id'])")),
    Hostile(
        "process_threads", "import _thread\n" + body("for _ in range(100): _thread.start_new_thread(f, ())", "return 1")
    ),
    Hostile("file_read", body("return open('/etc/passwd').read()")),
    Hostile("file_write", body("open('/tmp/escaped', 'w').write('x')", "return 1")),
    Hostile("file_fill", "import os\n" + body("fd = os.open('x', 66)", "while True: os.write(fd, b'x' * 10 ** 6)")),
    Hostile("file_proc", body("return open('/proc/self/environ').read()")),
    Hostile("file_pathlib", "import pathlib\n" + body("return pathlib.Path('/etc/passwd').read_text()")),
    Hostile("file_descriptors", "import os\n" + body("while True: os.dup(0)")),
    Hostile("environment", "import os\n" + body("return os.environ['PATH']")),
    # the rest
    Hostile("exit", body("exit()")),
    Hostile("system_exit", body("raise SystemExit")),
    Hostile("base_exception", body("raise BaseException('x')")),
    Hostile("keyboard_interrupt", body("raise KeyboardInterrupt")),
    Hostile("raise_exception_without_error", body("raise Exception")),
    Hostile("input", body("return input()")),
    Hostile("breakpoint", body("breakpoint()", "return 1"), harmless=(1,)),
    Hostile(
        "patch_builtins",
        "import builtins\nbuiltins.len = builtins.type = builtins.str = lambda *a: 'escaped'\n"
        + body("return object()"),
    ),
    Hostile(
        "patch_json",
        "import json\njson.dumps = lambda *a, **k: '\"escaped\"'\n" + body("return lambda: 1"),
        harmless=("escaped",),
    ),
    Hostile("eval_text", body('return eval(\'__import__("os").listdir("/etc")\')')),
    Hostile("exec_text", body("exec('import os; os.mkdir(\"/tmp/escaped\")')", "return 1")),
    Hostile("undefined_function", "def g(): return 1"),
    Hostile("function_is_data", "f = 5"),
    Hostile("assert_false", body("assert False")),
]
