"""Directive vectors: where a directive stands, preemption, numbers, words at fault."""

# Tables of cases, several to a line.
# fmt: off
# ruff: noqa: E501 - as above

from __future__ import annotations

from vector_base import (
    BARE,
    CARBON,
    CHECKPOINT,
    CLASS,
    COUNT,
    HOUR,
    KNOWN,
    LENGTH,
    OFF,
    POWER,
    PREEMPT,
    PRICE,
    SITES,
    STANDARD,
    TIME,
    UNIT,
    WINTER,
    WORK,
    good,
    inert,
    refuse,
)


def recognition() -> None:
    """Where a directive begins and ends, and what is not one."""
    for comment in (
        *("flex:", "FLEX:", "Flex: ", "flex:\t", "flex:,", "flex: , ,,", "flex:;", "flex:\n"),
        *(" flex:", "\tflex:", "\nflex:", ";flex:", ",flex:", "|flex:", "a flex:", "a=b;flex:", "x|flex:"),
        *("run 7, flex:", "first line\nflex:\nlast line", "flex:; max-delay=1", "flex:\nmax-delay=1"),
        *("flexible flex:", "reflex: flex:", "flex flex:", "\u00e9t\u00e9 flex:", "\x1f flex:", "flex:\n\x01"),
        *("owner=ada;flex:;project=x", "flex:;reflex:", "\udcff flex:", "flex:\nnoise \udc80"),
    ):
        good(comment, **STANDARD)
    for comment in (
        *("", "a comment", "flex", "flex :", "xflex:", "reflex: deadline=1", "/flex:", "=flex:", "(flex:)"),
        *("f lex:", "flex\u00a0:", "_flex:", "-flex: off", "\rflex:", "\x1fflex:", "fl\u00e9x:", '"flex:"'),
    ):
        inert(comment)
    for comment in ("flex: flex:", "flex:;flex:", "flex:\nFLEX:", "flex: max-delay=1,flex:", "flex: off|flex:"):
        refuse(comment, "flex:", "a second 'flex:' in one comment", "write all words after one 'flex:'")
    good("flex:max-delay=10", max_delay=600)
    good("flex: max-delay=10 ; not read: deadine=1", max_delay=600)
    good("flex: MAX-DELAY=10, Preempt=NONE", max_delay=600)
    good("flex:\tmax-delay=10,,\tpower=5W", max_delay=600, power=[5.0, "job"])
    good("flex: max-delay=10\nflexlon rules", max_delay=600)


def preemption() -> None:
    """preempt, checkpoint, min-run and max-preempts."""
    for text, value in (("none", "none"), ("requeue", "requeue"), ("Suspend", "suspend"), ("REQUEUE", "requeue")):
        extra = {} if value == "none" else {"max_preempts": 1}
        good(f"flex: preempt={text}", preempt=value, **extra, **STANDARD)
    for text in ("yes", "no", "cancel", "requeue/suspend", "=requeue"):
        refuse(f"flex: preempt={text}", f"preempt={text}", "not a way to preempt", PREEMPT)
    for text, value in (
        *(("USR1@120", ["USR1", 120]), ("SIGUSR1@120", ["USR1", 120]), ("usr2@0", ["USR2", 0])),
        *(("10@60", ["10", 60]), ("sigterm@65535", ["TERM", 65535]), ("64@1", ["64", 1]), ("010@1", ["10", 1])),
        *(("Int@5", ["INT", 5]), ("TSTP@007", ["TSTP", 7]), ("SIGHUP@30", ["HUP", 30])),
    ):
        good(f"flex: preempt=requeue checkpoint={text}", preempt="requeue", checkpoint=value, max_preempts=1, **STANDARD)
    for text in ("USR1", "@60", "USR1@", "USR1:60", "60"):
        refuse(f"flex: checkpoint={text}", f"checkpoint={text}", "not SIGNAL@SECONDS", CHECKPOINT)
    for text, signal in (
        *(("KILL@60", "KILL"), ("SIGSTOP@60", "SIGSTOP"), ("9@60", "9"), ("19@60", "19"), ("65@60", "65")),
        *(("0@60", "0"), ("SIGSIGUSR1@1", "SIGSIGUSR1"), ("USR3@1", "USR3"), ("-10@1", "-10"), ("SIG@1", "SIG")),
    ):
        refuse(
            f"flex: checkpoint={text}", f"checkpoint={text}", f"'{signal}' is no signal a program can answer", CHECKPOINT
        )
    for text in ("USR1@2m", "USR1@-1", "USR1@65536", "USR1@1:00", "USR1@1@2", "USR1@1234567890"):
        refuse(f"flex: checkpoint={text}", f"checkpoint={text}", "the seconds must be between 0 and 65535", CHECKPOINT)
    for text, value in (("0", 0), ("2", 2), ("1000", 1000), ("007", 7)):
        good(f"flex: preempt=suspend max-preempts={text}", preempt="suspend", max_preempts=value, **STANDARD)
    for text in ("-1", "1001", "two", "1.0", "1e2", "99999999999", "+1", "0x1"):
        why = "not a whole number between 0 and 1000"
        refuse(f"flex: max-preempts={text}", f"max-preempts={text}", why, COUNT)
    why, correct = "the job is not to be preempted", "add preempt=requeue or preempt=suspend, or leave it out"
    for word in ("checkpoint=USR1@60", "min-run=30", "max-preempts=2", "max-preempts=0"):
        refuse(f"flex: {word}", word, why, correct)
        refuse(f"flex: {word} preempt=none max-delay=5", word, why, correct)
    refuse("flex: max-preempts=2 min-run=5 checkpoint=USR1@60", "checkpoint=USR1@60", why, correct)


def powers() -> None:
    """power in its units."""
    for text, value in (
        *(("350W/node", [350.0, "node"]), ("300W/gpu", [300.0, "gpu"]), ("12W/cpu", [12.0, "cpu"])),
        *(("3.5kW", [3500.0, "job"]), ("800W", [800.0, "job"]), ("0.35kw/NODE", [350.0, "node"])),
        *(("1KW", [1000.0, "job"]), ("0.5w/cpu", [0.5, "cpu"]), ("007W", [7.0, "job"]), ("99999kW", [99999000.0, "job"])),
    ):
        good(f"flex: power={text}", power=value, **STANDARD)
    refuse("flex: power=350", "power=350", "no unit", POWER)
    for text in ("W", "kW", "--5W", ".5kW", "many", "/node", "+5W"):
        refuse(f"flex: power={text}", f"power={text}", "not a number", POWER)
    for text, unit in (
        *(("1MW", "MW"), ("350mW", "mW"), ("350J", "J"), ("350W/", "W/"), ("350W/job", "W/job"), ("350/node", "/node")),
        *(("350W/node/gpu", "W/node/gpu"), ("350 W", ""), ("1e3W", "e3W"), ("5.W", ".W"), ("3,5kW", ""), ("1234567890W", "0W")),
        *(("350W/nodes", "W/nodes"), ("350Wh", "Wh"), ("350%", "%"), ("350%s", "%s")),
    ):
        if unit:
            refuse(f"flex: power={text}", f"power={text}", f"wrong unit '{unit}'", POWER)
        else:
            word = text.replace(",", " ").split()[0]
            refuse(f"flex: power={text}", f"power={word}", "no unit", POWER)
    for text in ("0W", "-5W", "0.0kW/gpu", "100000kW", "999999999W"):
        refuse(f"flex: power={text}", f"power={text}", "not a power above 0 and below 100000 kW", POWER)


def rates() -> None:
    """max-price and max-carbon."""
    for text, value in (
        *(("80", 80.0), ("-12.5", -12.5), ("0", 0.0), ("80GBP/MWh", 80.0), ("80.25gbp/mwh", 80.25), ("-0.01", -0.01)),
    ):
        good(f"flex: max-price={text}", max_price=value, **STANDARD)
    for text, unit in (("80p/kWh", "p/kWh"), ("80EUR/MWh", "EUR/MWh"), ("8e1", "e1"), ("80/MWh", "/MWh"), ("1.2.3", ".3")):
        refuse(f"flex: max-price={text}", f"max-price={text}", f"wrong unit '{unit}'", PRICE)
    refuse("flex: max-price=80\u00a3", "max-price=80??", "wrong unit '??'", PRICE)
    for text in ("cheap", "--5", ".5", "GBP/MWh", "+5", "nan", "inf", "0x50", "$80"):
        if text == "0x50":
            refuse(f"flex: max-price={text}", f"max-price={text}", "wrong unit 'x50'", PRICE)
        else:
            refuse(f"flex: max-price={text}", f"max-price={text}", "not a number", PRICE)
    for text, value in (("150", 150.0), ("0", 0.0), ("99.5g/kWh", 99.5), ("150G/KWH", 150.0)):
        good(f"flex: max-carbon={text}", max_carbon=value, **STANDARD)
    for text in ("-1", "-0", "green", "-5g/kWh"):
        refuse(f"flex: max-carbon={text}", f"max-carbon={text}", "not a number", CARBON)
    for text, unit in (("150gCO2/kWh", "gCO2/kWh"), ("0.15kg/kWh", "kg/kWh"), ("150GBP/MWh", "GBP/MWh")):
        refuse(f"flex: max-carbon={text}", f"max-carbon={text}", f"wrong unit '{unit}'", CARBON)


def works() -> None:
    """work and unit."""
    for text, value in (
        *(("2.5e6", 2.5e6), ("1000", 1000.0), ("0.001", 0.001), ("1E3", 1000.0), ("1e-3", 0.001), ("7e+2", 700.0)),
        *(("007", 7.0), ("999999999e8", 999999999e8), ("1e17", 1e17), ("123456789.123456789", 123456789.123456789)),
    ):
        good(f"flex: work={text} unit=inference", work=value, unit="inference", **STANDARD)
    for text in (
        *("many", "-5", "+5", ".5", "5.", "1e", "1e+", "1e123", "2.5M", "1,5", "0x10", "nan", "inf", "1234567890"),
        *("1.1234567890", "5images", "1e3.5", "5e5e5", "--1", "1%s"),
    ):
        word = text.split(",")[0]
        if word == text:
            refuse(f"flex: work={text} unit=x", f"work={text}", "not a number", WORK)
        else:
            refuse(f"flex: work={text} unit=x", "5", "not key=value", BARE)
    for text in ("0", "0.0", "0e5", "1e18", "1e99", "999999999e10"):
        refuse(f"flex: work={text} unit=x", f"work={text}", "not an amount above 0 and below 1e18", WORK)
    for text, name in (
        *(("epoch", "epoch"), ("EPOCH", "epoch"), ("x", "x"), ("ns_day.v-2", "ns_day.v-2"), ("a" * 32, "a" * 32)),
    ):
        good(f"flex: unit={text},work=1 max-delay=5", work=1.0, unit=name, max_delay=300)
    why = "not a name of 1 to 32 of a-z 0-9 _ . - that begins with a letter"
    for text in ("1", "_x", "-x", ".x", "a/b", "a%s", "a=b", "a" * 33, "x@y", "9k"):
        refuse(f"flex: work=1 unit={text}", f"unit={text}", why, UNIT)
    refuse("flex: work=1 unit=caf\u00e9", "unit=caf??", why, UNIT)
    alone, fix = "the work has no unit", "add unit=NAME, such as unit=inference"
    refuse("flex: work=5", "work=5", alone, fix)
    refuse("flex: max-delay=9 work=1e3", "work=1e3", alone, fix)
    refuse("flex: class=unitless", "work=5 of class unitless", alone, fix, settings="site")
    good("flex: class=unitless unit=x", {"settings": "site"}, flex_class="unitless", work=5.0, unit="x", max_delay=3600)
    alone, fix = "the unit has no work", "add work=NUMBER, such as work=2.5e6, or leave it out"
    refuse("flex: unit=epoch", "unit=epoch", alone, fix)
    refuse("flex: class=serving unit=epoch", "unit=epoch", alone, fix, settings="site")
    # A class may give the unit, and the work too; a word of the user's counts before the class's.
    serving = {"flex_class": "serving", "latency": WINTER + 600, "max_delay": 12 * HOUR}
    good("flex: class=serving work=9e5", {"settings": "site"}, **serving, work=9e5, unit="inference")
    good("flex: class=serving work=2 unit=Token", {"settings": "site"}, **serving, work=2.0, unit="token")
    counted = {"flex_class": "counted", "max_delay": HOUR, "unit": "epoch"}
    good("flex: class=counted", {"settings": "site"}, **counted, work=5.0)
    good("flex: class=counted work=6", {"settings": "site"}, **counted, work=6.0)


def sites() -> None:
    """sites."""
    for text, names in (
        *(("a+b", ["a", "b"]), ("North+SOUTH", ["north", "south"]), ("site_1+site-2+3", ["site_1", "site-2", "3"])),
        *(("+".join("abcdefgh"), list("abcdefgh")), ("x" * 40 + "+y", ["x" * 40, "y"])),
    ):
        good(f"flex: sites={text}", sites=names, **STANDARD)
    why = "not two to eight different cluster names with + between them"
    for text in ("a", "a+a", "a+A", "+", "a+", "+a", "a++b", "a/b", "a:b", "a.b+c", "%s+d", "+".join("abcdefghi"), "x" * 41 + "+y"):
        refuse(f"flex: sites={text}", f"sites={text}", why, SITES)
    refuse("flex: sites=a,b", "sites=a", why, SITES)
    refuse("flex: sites=caf\u00e9+b", "sites=caf??+b", why, SITES)
    refuse("flex: sites=a+b sites=a+b", "sites=a+b", "the key sites stands twice", "write it once")


def words() -> None:
    """Unknown keys, words that are none, duplicates, empty values, off, length, control characters."""
    for key, near in (
        *(("deadine", "deadline"), ("dedline", "deadline"), ("start_by", "start-by"), ("startby", "start-by")),
        *(("maxdelay", "max-delay"), ("max_delay", "max-delay"), ("preemt", "preempt"), ("max-preempt", "max-preempts")),
        *(("chekpoint", "checkpoint"), ("minrun", "min-run"), ("klass", "class"), ("price", "max-price"), ("delay", "max-delay"), ("start", "start-by"), ("ab", "class")),
        *(("carbon", "max-carbon"), ("watts", "sites"), ("pwr", "power"), ("DEADINE", "deadline")),
    ):
        refuse(f"flex: {key}=x", f"{key}=x", f"unknown key '{key.lower()}'", f"did you mean {near}=? known: {KNOWN}")
    refuse("flex: =x", "=x", "unknown key ''", f"did you mean work=? known: {KNOWN}")
    for word in ("deadline", "yes", "on", "deadline:08:00", "08:00", "max-delay:10", "%s%n", "offf"):
        refuse(f"flex: {word}", word, "not key=value", BARE)
    refuse("flex: caf\u00e9", "caf??", "not key=value", BARE)
    refuse("flex: \udcff\udcfe", "??", "not key=value", BARE)
    long_word = "a" * 70
    refuse(f"flex: {long_word}", "a" * 57 + "...", "not key=value", BARE)
    for word in ("PM", "am", "Pm"):
        why, correct = "not key=value", "write AM or PM without a blank before it, such as 08:00PM"
        refuse(f"flex: deadline=08:00 {word}", word, why, correct)
    refuse("flex: standard", "standard", "not key=value", "write class=standard")
    refuse("flex: OVERNIGHT", "OVERNIGHT", "not key=value", "write class=overnight", settings="site")
    for first, second in (("max-delay=5", "max-delay=5"), ("max-delay=5", "MAX-DELAY=6"), ("power=1W", "power=2W")):
        key = first.split("=")[0]
        refuse(f"flex: {first} {second}", second, f"the key {key} stands twice", "write it once")
    refuse("flex: class=standard,class=standard", "class=standard", "the key class stands twice", "write it once")
    for key, form in (
        ("class", CLASS + "standard"),
        *((key, TIME.format(key)) for key in ("deadline", "start-by")),
        *((key, LENGTH.format(key)) for key in ("max-delay", "latency", "min-run")),
        *(("preempt", PREEMPT), ("checkpoint", CHECKPOINT), ("max-preempts", COUNT), ("power", POWER)),
        *(("max-price", PRICE), ("max-carbon", CARBON), ("work", WORK), ("unit", UNIT)),
    ):
        refuse(f"flex: {key}=", f"{key}=", "no value", form)
    for comment in ("flex: off", "flex:off", "FLEX: OFF", "flex: off;deadline=1", "note;flex: ,off,", "flex:\toff\nx"):
        inert(comment, opted_out=True)
        inert(comment, opted_out=True, settings="site", partition="green")
    why = "off goes with no other word and no value"
    for comment, word in (
        *(("flex: off max-delay=1", "off"), ("flex: max-delay=1 OFF", "OFF"), ("flex: off=1", "off=1")),
        *(("flex: off off", "off"), ("flex: off nonsense", "off"), ("flex: Off=", "Off=")),
    ):
        refuse(comment, word, why, OFF)
    why, correct = "the directive has {0} bytes, at most {1} are read", "shorten it or use class=NAME"
    good("flex: max-delay=1" + " " * 495, max_delay=60)
    refuse("flex: max-delay=1" + " " * 496, "flex:", why.format(513, 512), correct)
    refuse("flex:" + "\u00e9" * 254, "flex:", why.format(513, 512), correct)
    good("x" * 600 + " flex: max-delay=1;" + "y" * 300, max_delay=60)
    good("flex:" + " " * 195, {"settings": "site"}, **STANDARD)
    refuse("flex:" + " " * 196, "flex:", why.format(201, 200), correct, settings="site")
    for code in (1, 2, 7, 8, 11, 12, 13, 27, 30, 31, 127):
        why, correct = f"control character (byte {code}) in the directive", "use blanks or commas between words"
        refuse(f"flex: max-delay=1{chr(code)}", "flex:", why, correct)
