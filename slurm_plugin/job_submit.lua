--[[ FlexLon's job_submit plugin.

Law: decides whether a submission's flex directive can be read (else the user is told in one line), leaves the
user's own --begin in admin_comment, and gives an opted-in batch job a begin time a few seconds ahead while
flexlond is alive, so that it is planned before it starts; and gives jobs of partitions that take part the `kw`
licence of their modelled power, by which slurmctld keeps windows without us. It must never cost a job its start: it runs under
slurmctld's locks, so no network, no loop over jobs, and any error of its own lets the job through unchanged.
Moments are epoch seconds, lengths seconds. The decisions are those of flexlond/model/directive.py, in the same
order and words; tests/vectors/directive.json holds both to it. Lua 5.1; Slurm 22.05 to 26.05.
Install it with `flexlond lua --output /etc/slurm/job_submit.lua`, which fills in the site's settings. ]]

-- flexlon keys: begin (scripts/gen-lua; edit flexlond/model/directive_keys.py)
local KEYS = {
    { name = "class", kind = "class",
        form = "write class=NAME with one of: %s" },
    { name = "deadline", kind = "time",
        form = "write deadline=TIME as for sbatch --begin: 08:00, 2026-11-23T08:00, tomorrow-08:00 or now+8hours" },
    { name = "start-by", kind = "time",
        form = "write start-by=TIME as for sbatch --begin: 08:00, 2026-11-23T08:00, tomorrow-08:00 or now+8hours" },
    { name = "max-delay", kind = "duration",
        form = "write max-delay=LENGTH as for sbatch --time: minutes, hours:minutes:seconds or days-hours" },
    { name = "latency", kind = "latency",
        form = "write latency=LENGTH as for sbatch --time: minutes, hours:minutes:seconds or days-hours" },
    { name = "preempt", kind = "preempt",
        form = "write preempt=none, preempt=requeue or preempt=suspend" },
    { name = "checkpoint", kind = "checkpoint",
        form = "write checkpoint=SIGNAL@SECONDS, such as checkpoint=USR1@120" },
    { name = "min-run", kind = "duration",
        form = "write min-run=LENGTH as for sbatch --time: minutes, hours:minutes:seconds or days-hours" },
    { name = "max-preempts", kind = "count",
        form = "write max-preempts=NUMBER, such as max-preempts=2" },
    { name = "power", kind = "power",
        form = "write power=350W/node, power=300W/gpu, power=12W/cpu or power=3.5kW for the whole job" },
    { name = "max-price", kind = "price",
        form = "write max-price=NUMBER in GBP/MWh, such as max-price=80 or max-price=80GBP/MWh" },
    { name = "max-carbon", kind = "carbon",
        form = "write max-carbon=NUMBER in g/kWh, such as max-carbon=150 or max-carbon=150g/kWh" },
    { name = "work", kind = "work",
        form = "write work=NUMBER with unit=NAME, such as work=2.5e6 unit=inference" },
    { name = "unit", kind = "unit",
        form = "write unit=NAME with work=NUMBER, such as work=2.5e6 unit=inference" },
    { name = "sites", kind = "sites",
        form = "write sites=NAME+NAME with the names of two to eight clusters, such as sites=north+south" },
    { name = "off", kind = "off",
        form = "write 'flex: off' with no other word" },
}
local MESSAGES = {
    ["second"] = { "a second 'flex:' in one comment",
        "write all words after one 'flex:'" },
    ["long"] = { "the directive has %s bytes, at most %s are read",
        "shorten it or use class=NAME" },
    ["control"] = { "control character (byte %s) in the directive",
        "use blanks or commas between words" },
    ["bare"] = { "not key=value",
        "write key=value, such as deadline=now+8hours, or off" },
    ["half-day"] = { "not key=value",
        "write AM or PM without a blank before it, such as 08:00PM" },
    ["bare-class"] = { "not key=value",
        "write class=%s" },
    ["unknown"] = { "unknown key '%s'",
        "did you mean %s=? known: %s or off" },
    ["duplicate"] = { "the key %s stands twice",
        "write it once" },
    ["empty"] = { "no value",
        "" },
    ["off"] = { "off goes with no other word and no value",
        "" },
    ["no-class"] = { "unknown class '%s'",
        "" },
    ["no-default"] = { "the site has no default class",
        "write class=NAME, or a deadline=, start-by=, max-delay= or latency=" },
    ["bad-time"] = { "not a time",
        "" },
    ["bad-day"] = { "no such day",
        "" },
    ["far-time"] = { "not within the years 2000 to 2099",
        "" },
    ["bad-duration"] = { "not a length of time",
        "" },
    ["negative"] = { "a length of time cannot be negative",
        "" },
    ["endless"] = { "a length of time without end is no promise",
        "" },
    ["far-duration"] = { "longer than Slurm can count",
        "" },
    ["bad-preempt"] = { "not a way to preempt",
        "" },
    ["bad-checkpoint"] = { "not SIGNAL@SECONDS",
        "" },
    ["bad-signal"] = { "'%s' is no signal a program can answer",
        "" },
    ["bad-seconds"] = { "the seconds must be between 0 and 65535",
        "" },
    ["bad-number"] = { "not a number",
        "" },
    ["bad-count"] = { "not a whole number between 0 and 1000",
        "" },
    ["bad-power"] = { "not a power above 0 and below 100000 kW",
        "" },
    ["bad-work"] = { "not an amount above 0 and below 1e18",
        "" },
    ["bad-name"] = { "not a name of 1 to 32 of a-z 0-9 _ . - that begins with a letter",
        "" },
    ["bad-sites"] = { "not two to eight different cluster names with + between them",
        "" },
    ["bad-unit"] = { "wrong unit '%s'",
        "" },
    ["no-unit"] = { "no unit",
        "" },
    ["past"] = { "it is in the past",
        "give a time after the submission" },
    ["unlimited"] = { "the time limit is UNLIMITED, so the job may never finish",
        "give --time as well" },
    ["too-soon"] = { "the job cannot finish by then: its time limit is %s, its earliest end %s",
        "give a later deadline or a shorter --time" },
    ["before-begin"] = { "the job cannot start by then: its --begin is %s",
        "give a later start-by or an earlier --begin" },
    ["latency-begin"] = { "the job cannot start by then: its --begin is %s",
        "give a longer latency or an earlier --begin" },
    ["min-run"] = { "not below the time limit of %s",
        "give a shorter min-run or a longer --time" },
    ["no-preempt"] = { "the job is not to be preempted",
        "add preempt=requeue or preempt=suspend, or leave it out" },
    ["work-alone"] = { "the work has no unit",
        "add unit=NAME, such as unit=inference" },
    ["unit-alone"] = { "the unit has no work",
        "add work=NUMBER, such as work=2.5e6, or leave it out" },
}
local PREEMPT_ONLY = { "checkpoint", "min-run", "max-preempts" }
local SIGNALS = {
    HUP = true,
    INT = true,
    QUIT = true,
    ABRT = true,
    ALRM = true,
    TERM = true,
    USR1 = true,
    USR2 = true,
    URG = true,
    CONT = true,
    TSTP = true,
    TTIN = true,
    TTOU = true,
}
local UNCATCHABLE = { [9] = true, [19] = true }
-- flexlon keys: end

-- flexlon site: begin (flexlond lua; edit flexlon.toml)
local SITE = {
    window = 10,
    max_length = 512,
    heartbeat = "/run/flexlon/heartbeat",
    default_class = "standard",
    classes = {
        { name = "standard", values = { { "max-delay", "12:00:00" } } },
    },
    opt_in = {
    },
    licence = false,
}
-- flexlon site: end

local find, match, gmatch, sub, byte, gsub, format =
    string.find, string.match, string.gmatch, string.sub, string.byte, string.gsub, string.format
local concat = table.concat
local ceil, floor, max, min = math.ceil, math.floor, math.max, math.min
local date, time, open = os.date, os.time, io.open
local ipairs, pairs, pcall, setmetatable = ipairs, pairs, pcall, setmetatable
local tonumber, tostring, type = tonumber, tostring, type

local SUCCESS, ERROR = 0, -1 -- slurm.SUCCESS, slurm.ERROR, in every version
local NO_VAL, INFINITE = 4294967294, 4294967295
local UNLIMITED = "UNLIMITED"
local SHOWN = 60 -- bytes of a word that are echoed
local DAY = 86400
local LAST_MOMENT, LONGEST = 4102444799, 2147483647
local LATEST_WINDOW = 10 -- seconds; Slurm's own --deadline is hidden from Lua, so never wait longer
local START_MARGIN = 60 -- seconds the scheduler may take after a begin time
local MARK = "[fF][lL][eE][xX]:"

local UNITS = { [""] = 1, second = 1, seconds = 1, minute = 60, minutes = 60, hour = 3600, hours = 3600,
    day = DAY, days = DAY, week = 7 * DAY, weeks = 7 * DAY }
local HOURS = { midnight = 0, noon = 12, elevenses = 11, fika = 15, teatime = 16 }
local WORDS = { "today", "tomorrow", "midnight", "noon", "elevenses", "fika", "teatime" }

local KEY, NAMES = {}, {}
for _, key in ipairs(KEYS) do
    KEY[key.name] = key
    if key.name ~= "off" then NAMES[#NAMES + 1] = key.name end
end

-- Refusals -------------------------------------------------------------------------------------------------

-- ASCII only, whatever the locale: a byte of UTF-8 must not change.
local TO_LOWER, TO_UPPER = {}, {}
for code = 65, 90 do
    TO_LOWER[string.char(code)], TO_UPPER[string.char(code + 32)] = string.char(code + 32), string.char(code)
end
local function ascii_lower(text) return (gsub(text, "[A-Z]", TO_LOWER)) end
local function ascii_upper(text) return (gsub(text, "[a-z]", TO_UPPER)) end

local function shown(text)
    text = gsub(text, "[^\32-\126]", "?")
    if #text <= SHOWN then return text end
    return sub(text, 1, SHOWN - 3) .. "..."
end

local function known_classes()
    local names = {}
    for _, class in ipairs(SITE.classes) do names[#names + 1] = class.name end
    if #names == 0 then return "(the site has none)" end
    return concat(names, ", ")
end

-- nil and the line for the user: what Rejected.of does in Python.
local function reject(code, word, values, key)
    local why, correct = MESSAGES[code][1], MESSAGES[code][2]
    values = values or {}
    if correct == "" then
        correct = KEY[key].form
        if key == "class" then values[#values + 1] = known_classes() end
    end
    local used = 0
    local function fill() used = used + 1; return values[used] end
    why = gsub(why, "%%s", fill)
    correct = gsub(correct, "%%s", fill)
    return nil, format("flexlon: '%s': %s; %s", shown(word), why, correct)
end

local function distance(left, right)
    local row = {}
    for j = 0, #right do row[j] = j end
    for i = 1, #left do
        local diagonal = row[0]
        row[0] = i
        for j = 1, #right do
            local cost = byte(left, i) == byte(right, j) and 0 or 1
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + cost)
        end
    end
    return row[#right]
end

local function nearest(name)
    local best, least
    name = sub(name, 1, 32)
    for _, candidate in ipairs(NAMES) do
        if #name >= 3 and find(candidate, name, 1, true) then return candidate end
    end
    for _, candidate in ipairs(NAMES) do
        local edits = distance(name, candidate)
        if not least or edits < least then best, least = candidate, edits end
    end
    return best
end

local function find_class(name)
    name = ascii_lower(name)
    for _, class in ipairs(SITE.classes) do
        if ascii_lower(class.name) == name then return class end
    end
    return nil
end

-- Slurm's times (flexlond/model/slurmtime.py) --------------------------------------------------------------

local function days_from_civil(year, month, day)
    if month <= 2 then year = year - 1 end
    local era = floor(year / 400)
    local of_era = year - era * 400
    local of_year = floor((153 * (month + (month > 2 and -3 or 9)) + 2) / 5) + day - 1
    return era * 146097 + of_era * 365 + floor(of_era / 4) - floor(of_era / 100) + of_year - 719468
end

local function wall(moment) -- the local time of a moment, counted as if it were UTC
    local t = date("*t", moment)
    return days_from_civil(t.year, t.month, t.day) * DAY + t.hour * 3600 + t.min * 60 + t.sec
end

-- The first moment with this local time; in a skipped hour, counted with the offset before the change.
local function from_wall(civil)
    local before = civil - (wall(civil - DAY) - (civil - DAY))
    if wall(before) == civil then return before end
    local after = civil - (wall(civil + DAY) - (civil + DAY))
    if wall(after) == civil then return after end
    return before
end

local function in_reach(moment)
    if moment <= 0 or moment > LAST_MOMENT then return nil, "far-time" end
    return moment
end

local function days_in_month(year, month)
    local following = month == 12 and days_from_civil(year + 1, 1, 1) or days_from_civil(year, month + 1, 1)
    return following - days_from_civil(year, month, 1)
end

-- HH:MM[:SS][AM|PM] at pos: where it ends, or nil.
local function read_clock(text, pos, parts)
    local hour, minute = match(text, "^([0-9][0-9]?):([0-9][0-9])", pos)
    if not hour or parts.hour then return nil end
    pos = pos + #hour + 3
    local second = match(text, "^:([0-9][0-9])", pos)
    if second then pos = pos + 3 end
    local blanks = match(text, "^[ \t]*", pos)
    local half = ascii_lower(sub(text, pos + #blanks, pos + #blanks + 1))
    hour, minute, second = tonumber(hour), tonumber(minute), tonumber(second or 0)
    pos = pos + #blanks
    if half == "am" or half == "pm" then
        if hour > 12 then return nil end
        hour = hour % 12 + (half == "pm" and 12 or 0)
        pos = pos + 2
    end
    if hour > 23 or minute > 59 or second > 59 then return nil end
    parts.hour, parts.minute, parts.second = hour, minute, second
    return pos
end

local function set_date(parts, year, month, day)
    if parts.month or month < 1 or month > 12 or day < 1 or day > 31 then return false end
    parts.year, parts.month, parts.day = year, month, day
    return true
end

-- YYYY-MM-DD, MMDD[YY], MM/DD[/YY] or MM.DD[.YY] at pos: where it ends, or nil.
local function read_date(text, pos, parts)
    local year, month, day = match(text, "^([0-9][0-9][0-9][0-9])-([0-9][0-9])-([0-9][0-9]?)", pos)
    if year then
        if not set_date(parts, tonumber(year), tonumber(month), tonumber(day)) then return nil end
        return pos + 8 + #day
    end
    month = match(text, "^[0-9][0-9]?", pos)
    if not month then return nil end
    pos = pos + #month
    if match(text, "^[./]", pos) then pos = pos + 1 end
    day = match(text, "^[0-9][0-9]?", pos)
    if not day then return nil end
    pos = pos + #day
    if match(text, "^[./]", pos) then pos = pos + 1 end
    year = match(text, "^[0-9][0-9]", pos)
    if year then pos = pos + 2 end
    year = tonumber(year or 0)
    if not set_date(parts, year ~= 0 and 2000 + year or nil, tonumber(month), tonumber(day)) then return nil end
    return pos
end

local function read_name(text, pos, parts, now)
    local rest = ascii_lower(sub(text, pos, pos + 8))
    for _, name in ipairs(WORDS) do
        if sub(rest, 1, #name) == name then
            if HOURS[name] then
                if parts.hour then return nil end
                parts.hour, parts.minute, parts.second = HOURS[name], 0, 0
            else
                local t = date("*t", name == "today" and now or now + DAY)
                if not set_date(parts, t.year, t.month, t.day) then return nil end
            end
            return pos + #name
        end
    end
    return false
end

local function resolve(parts, now)
    local t = date("*t", now)
    local hour, minute, second = parts.hour or 0, parts.minute or 0, parts.second or 0
    local year, month, day = parts.year, parts.month, parts.day
    if not month then
        if hour < t.hour or (hour == t.hour and minute <= t.min) then t = date("*t", now + DAY) end
        year, month, day = t.year, t.month, t.day
    elseif not year then
        local wanted = ((month * 100 + day) * 100 + hour) * 100 + minute
        local today = ((t.month * 100 + t.day) * 100 + t.hour) * 100 + t.min
        year = wanted > today and t.year or t.year + 1
    end
    if year < 2000 or year > 2099 then return nil, "far-time" end
    if day > days_in_month(year, month) then return nil, "bad-day" end
    return in_reach(from_wall(days_from_civil(year, month, day) * DAY + hour * 3600 + minute * 60 + second))
end

local function parse_time(text, now)
    local low = ascii_lower(text)
    if match(low, "^now[ \t]*$") then return now end
    local sign, count, unit = match(low, "^now[ \t]*([+-])[ \t]*([0-9]+)[ \t]*([a-z]*)[ \t]*$")
    if sign and #count <= 9 and UNITS[unit] then
        local seconds = tonumber(count) * UNITS[unit]
        return in_reach(sign == "-" and now - seconds or now + seconds)
    end
    local parts, pos = {}, 1
    while pos <= #text do
        if match(text, "^[ \tT-]", pos) then
            pos = pos + 1
        else
            local after = read_name(text, pos, parts, now)
            if after == false then
                if find(sub(text, pos + 1, pos + 2), ":", 1, true) then
                    after = read_clock(text, pos, parts)
                else
                    after = read_date(text, pos, parts)
                end
            end
            if not after then return nil, "bad-time" end
            pos = after
        end
    end
    if not parts.hour and not parts.month then return nil, "bad-time" end
    return resolve(parts, now)
end

local FORMS = { -- pattern, then the seconds of each part
    { "^([0-9]+)$", 60 },
    { "^([0-9]+):([0-9]+)$", 60, 1 },
    { "^([0-9]+):([0-9]+):([0-9]+)$", 3600, 60, 1 },
    { "^([0-9]+)%-([0-9]+)$", DAY, 3600 },
    { "^([0-9]+)%-([0-9]+):([0-9]+)$", DAY, 3600, 60 },
    { "^([0-9]+)%-([0-9]+):([0-9]+):([0-9]+)$", DAY, 3600, 60, 1 },
}

local function parse_duration(text)
    local low = ascii_lower(text)
    if low == "infinite" or low == "unlimited" or low == "-1" then return nil, "endless" end
    for _, form in ipairs(FORMS) do
        local found = { match(text, form[1]) }
        if found[1] then
            local total = 0
            for index, digits in ipairs(found) do
                if #digits > 9 then return nil, "bad-duration" end
                total = total + tonumber(digits) * form[index + 1]
            end
            if total > LONGEST then return nil, "far-duration" end
            return total
        end
    end
    return nil, sub(text, 1, 1) == "-" and "negative" or "bad-duration"
end

local function format_duration(seconds)
    local days = floor(seconds / DAY)
    local rest = seconds - days * DAY
    local clock = format("%02d:%02d:%02d", floor(rest / 3600), floor(rest / 60) % 60, rest % 60)
    return days > 0 and format("%d-%s", days, clock) or clock
end

local function format_moment(moment) return date("!%Y-%m-%dT%H:%M:%SZ", moment) end

-- One word (flexlond/model/directive_values.py) ------------------------------------------------------------

-- A leading number of at most 9 digits before and after the point, and what follows it.
local function split_number(text)
    local sign, digits = match(text, "^(%-?)([0-9]+)")
    if not sign then return nil end
    digits = sub(digits, 1, 9)
    local number = sign .. digits
    local fraction = match(text, "^%.([0-9]+)", #number + 1)
    if fraction then number = number .. "." .. sub(fraction, 1, 9) end
    return number, sub(text, #number + 1)
end

local function whole(text) return #text <= 9 and match(text, "^[0-9]+$") and tonumber(text) or nil end

local function read_rate(text, key, name, unit, signed)
    local number, rest = split_number(text)
    if not number or (sub(number, 1, 1) == "-" and not signed) then return reject("bad-number", name, nil, key) end
    if rest ~= "" and ascii_lower(rest) ~= unit then return reject("bad-unit", name, { shown(rest) }, key) end
    return tonumber(number)
end

local READERS = {
    class = function(text, key, name)
        local class = find_class(text)
        if not class then return reject("no-class", name, { shown(text) }, key) end
        return class.name
    end,
    time = function(text, key, name, now)
        local value, code = parse_time(text, now)
        if not value then return reject(code, name, nil, key) end
        return value
    end,
    duration = function(text, key, name)
        local value, code = parse_duration(text)
        if not value then return reject(code, name, nil, key) end
        return value
    end,
    latency = function(text, key, name, now) -- the moment it reaches from the submission on
        local value, code = parse_duration(text)
        if value then value, code = in_reach(now + value) end
        if not value then return reject(code, name, nil, key) end
        return value
    end,
    preempt = function(text, key, name)
        text = ascii_lower(text)
        if text ~= "none" and text ~= "requeue" and text ~= "suspend" then
            return reject("bad-preempt", name, nil, key)
        end
        return text
    end,
    checkpoint = function(text, key, name)
        local signal, seconds = match(text, "^([^@]+)@(.+)$")
        if not signal then return reject("bad-checkpoint", name, nil, key) end
        local plain = gsub(ascii_upper(signal), "^SIG", "")
        local number = whole(plain)
        if number then plain = tostring(number) end
        if (number and (number < 1 or number > 64 or UNCATCHABLE[number])) or not (number or SIGNALS[plain]) then
            return reject("bad-signal", name, { shown(signal) }, key)
        end
        seconds = whole(seconds)
        if not seconds or seconds > 65535 then return reject("bad-seconds", name, nil, key) end
        return { plain, seconds }
    end,
    count = function(text, key, name)
        local value = whole(text)
        if not value or value > 1000 then return reject("bad-count", name, nil, key) end
        return value
    end,
    power = function(text, key, name)
        local number, rest = split_number(text)
        if not number then return reject("bad-number", name, nil, key) end
        if rest == "" then return reject("no-unit", name, nil, key) end
        local low = ascii_lower(rest)
        local unit, per = match(low, "^([^/]*)/(.*)$")
        if not unit then unit, per = low, "job" end
        if (unit ~= "w" and unit ~= "kw")
            or (find(low, "/", 1, true) and per ~= "node" and per ~= "gpu" and per ~= "cpu") then
            return reject("bad-unit", name, { shown(rest) }, key)
        end
        local watts = tonumber(number) * (unit == "kw" and 1000 or 1)
        if watts <= 0 or watts >= 1e8 then return reject("bad-power", name, nil, key) end
        return { watts, per }
    end,
    price = function(text, key, name) return read_rate(text, key, name, "gbp/mwh", true) end,
    carbon = function(text, key, name) return read_rate(text, key, name, "g/kwh", false) end,
    work = function(text, key, name)
        local number, rest = split_number(text)
        local plain = number and sub(number, 1, 1) ~= "-"
            and (rest == "" or match(rest, "^[eE][+-]?[0-9][0-9]?$"))
        if not plain then return reject("bad-number", name, nil, key) end
        local amount = tonumber(text)
        if amount <= 0 or amount >= 1e18 then return reject("bad-work", name, nil, key) end
        return amount
    end,
    unit = function(text, key, name)
        local unit = ascii_lower(text)
        if #unit > 32 or not match(unit, "^[a-z][a-z0-9_.-]*$") then return reject("bad-name", name, nil, key) end
        return unit
    end,
    sites = function(text, key, name)
        local names, seen = {}, {}
        for one in gmatch(ascii_lower(text) .. "+", "([^+]*)%+") do
            if seen[one] or #one > 40 or not match(one, "^[a-z0-9_-]+$") then
                return reject("bad-sites", name, nil, key)
            end
            seen[one], names[#names + 1] = true, one
        end
        if #names < 2 or #names > 8 then return reject("bad-sites", name, nil, key) end
        return names
    end,
}

-- The key and value of one word; nil and the refusal otherwise. `name` is how the refusal calls it.
local function read_word(word, name, now)
    local at = find(word, "=", 1, true)
    local key = ascii_lower(at and sub(word, 1, at - 1) or word)
    if key == "off" then
        if at then return reject("off", name, nil, "off") end
        return "off", true
    end
    if not at then
        if key == "am" or key == "pm" then return reject("half-day", name) end
        local class = find_class(key)
        if class then return reject("bare-class", name, { class.name }) end
        return reject("bare", name)
    end
    if not KEY[key] then
        return reject("unknown", name, { shown(key), nearest(key), concat(NAMES, ", ") })
    end
    local text = sub(word, at + 1)
    if text == "" then return reject("empty", name, nil, key) end
    local value, line = READERS[KEY[key].kind](text, key, name, now)
    if value == nil then return nil, line end
    return key, value
end

-- The whole directive (flexlond/model/directive.py) --------------------------------------------------------

local function class_terms(class, now)
    local values, words = {}, {}
    for _, pair in ipairs(class.values) do
        local word = pair[1] .. "=" .. pair[2]
        local name = word .. " of class " .. class.name
        local key, value = read_word(word, name, now)
        if not key then return nil, value end
        values[key], words[key] = value, name
    end
    return values, words
end

local function clash_in_time(values, words, now, job)
    local begin = job.begin
    local earliest = max(now, begin)
    local deadline, start_by, min_run = values.deadline, values["start-by"], values["min-run"]
    local latency = values.latency
    local limit
    if deadline or min_run then limit = job:limit() end
    if deadline then
        if deadline <= now then return reject("past", words.deadline) end
        if limit == UNLIMITED then return reject("unlimited", words.deadline) end
        if deadline < earliest + (limit or 0) then
            return reject("too-soon", words.deadline,
                { limit and format_duration(limit) or "unknown", format_moment(earliest + (limit or 0)) })
        end
    end
    if start_by then
        if start_by < now then return reject("past", words["start-by"]) end
        if start_by < begin then return reject("before-begin", words["start-by"], { format_moment(begin) }) end
    end
    if latency and latency < begin then
        return reject("latency-begin", words.latency, { format_moment(begin) })
    end
    if min_run and type(limit) == "number" and min_run >= limit then
        return reject("min-run", words["min-run"], { format_duration(limit) })
    end
    return true
end

-- Contradictions, then the record. `own`: the user's words; nil for a site default.
local function settle(source, class, values, words, own, now, job)
    local ok, line = clash_in_time(values, words, now, job)
    if not ok then return nil, line end
    if (values.preempt or "none") == "none" then
        for _, key in ipairs(PREEMPT_ONLY) do
            if own and own[key] ~= nil then return reject("no-preempt", words[key]) end
            values[key] = nil
        end
    elseif not values["max-preempts"] then
        values["max-preempts"] = 1
    end
    if values.work and not values.unit then return reject("work-alone", words.work) end
    if values.unit and not values.work then
        if own and own.unit then return reject("unit-alone", words.unit) end
        values.unit = nil
    end
    values.class = class
    return { source = source, values = values }
end

local function site_default(now, job)
    for _, rule in ipairs(SITE.opt_in) do
        if (rule.partition == "" or rule.partition == job:partition())
            and (rule.qos == "" or ascii_lower(rule.qos) == ascii_lower(job:qos()))
            and (rule.account == "" or ascii_lower(rule.account) == ascii_lower(job:account())) then
            local class = find_class(rule.class)
            local values, words
            if class then values, words = class_terms(class, now) end
            -- The owner asked for nothing, so nothing is refused: what cannot be kept is not applied.
            if not values then return nil end
            return (settle("site default", class.name, values, words, nil, now, job))
        end
    end
    return nil
end

-- The only place of 'flex:' in the comment; nil when there is none, false when there are several.
local function find_mark(comment)
    local place
    local at = find(comment, MARK)
    while at do
        if at == 1 or match(comment, "^[ \t\n;,|]", at - 1) then
            if place then return false end
            place = at
        end
        at = find(comment, MARK, at + 5)
    end
    return place
end

-- The directive in force; nil where there is none (and true if opted out); nil and the line of the refusal.
local function read(comment, now, job)
    local mark = find_mark(comment)
    if mark == nil then return site_default(now, job) end
    if mark == false then return reject("second", "flex:") end
    local body = match(comment, "^[^\n;]*", mark)
    if #body > SITE.max_length then
        return reject("long", "flex:", { tostring(#body), tostring(SITE.max_length) })
    end
    local control = match(body, "[%z\1-\8\10-\31\127]")
    if control then return reject("control", "flex:", { tostring(byte(control)) }) end
    local list = {}
    for word in gmatch(sub(body, 6), "[^ \t,]+") do list[#list + 1] = word end
    local values, words = {}, {}
    for _, word in ipairs(list) do
        local key, value = read_word(word, word, now)
        if not key then return nil, value end
        if values[key] ~= nil then return reject("duplicate", word, { key }) end
        if key == "off" then
            if #list > 1 then return reject("off", word, nil, "off") end
            return nil, nil, true
        end
        values[key], words[key] = value, word
    end
    local class
    if values.class then
        class = find_class(values.class)
    elseif not values.deadline and not values["start-by"] and not values["max-delay"]
        and not values.latency then
        class = find_class(SITE.default_class)
        if not class then return reject("no-default", "flex:") end
    end
    if not class then return settle("directive", "", values, words, values, now, job) end
    local all, names = class_terms(class, now)
    if not all then return nil, names end
    for key, value in pairs(values) do all[key], names[key] = value, words[key] end
    return settle("directive", class.name, all, names, values, now, job)
end

-- Slurm ----------------------------------------------------------------------------------------------------

-- What the directive may depend on, read from Slurm only when it is asked for: each field is a call into C.
local Job = {}
Job.__index = Job

function Job:partition()
    local name = self.jd.partition
    if name and name ~= "" then return name end
    for other, record in pairs(self.parts) do
        if record.flag_default == 1 then return other end
    end
    return ""
end

function Job:qos() return self.jd.qos or self.jd.default_qos or "" end

function Job:account() return self.jd.account or self.jd.default_account or "" end

-- Seconds, UNLIMITED, or nil where it cannot be known (several partitions and no --time).
function Job:limit()
    if self.known then return self.known end
    local minutes = self.jd.time_limit
    if minutes == NO_VAL then
        local record = self.parts[self:partition()]
        minutes = record and record.default_time
        if minutes == NO_VAL then minutes = record.max_time end
    end
    if not minutes or minutes == NO_VAL then return nil end
    self.known = minutes == INFINITE and UNLIMITED or minutes * 60
    return self.known
end

-- One line `act <valid until>`; anything else means that nobody would plan the job in time.
local function flexlond_is_alive(now)
    local file = open(SITE.heartbeat, "r")
    if not file then return false end
    local line = file:read(64)
    file:close()
    local valid = line and match(line, "^act ([0-9]+)\n$")
    return valid ~= nil and tonumber(valid) >= now
end

-- The latest start of a directive, without a margin; nil where none can be promised.
local function latest_start(values, now, job)
    local latest
    if values["start-by"] then latest = values["start-by"] end
    if values.latency then latest = min(latest or LAST_MOMENT, values.latency) end
    if values["max-delay"] then latest = min(latest or LAST_MOMENT, max(now, job.begin) + values["max-delay"]) end
    local limit = job:limit()
    if not limit or limit == UNLIMITED then return nil end
    if values.deadline then
        local array = job.jd.array_inx
        if array and find(array, "%", 1, true) then return nil end -- its last task needs more than one limit
        latest = min(latest or LAST_MOMENT, values.deadline - limit)
    end
    return latest
end

-- May the job begin `window` seconds from now and still keep its latest start, in all certainty?
local function can_wait(values, now, job, earliest)
    local latest = latest_start(values, now, job)
    return latest ~= nil and latest >= earliest + START_MARGIN
end

-- The kw licence (flexlond/model/licence.py, power.py) -----------------------------------------------------

local LICENCE, OURS = "kw", "^flexlon_"
local CEIL_MARGIN = 1e-9

-- A number that was given; nil for what Slurm writes instead (NO_VAL of 16, 32 and 64 bits).
local function given(value)
    if type(value) ~= "number" or value == 65534 or value == 65535 or value >= NO_VAL then return nil end
    return value
end

local function worded(text) return type(text) == "string" and text ~= "" and text or nil end

-- The other licences, and how many kw there were (nil: none); nil for alternatives, which cannot be added to.
local function without_kw(text)
    if find(text, "|", 1, true) then return nil end
    local kept, own = {}, nil
    for word in gmatch(text, "[^,;]+") do
        local name, count = match(word, "^[ \t]*([^:= \t]*)[:=]?([0-9]*)")
        if name == LICENCE then
            own = (own or 0) + (tonumber(count) or 1)
        else
            kept[#kept + 1] = word
        end
    end
    return concat(kept, ","), own
end

-- Adds the GPUs of a request such as "gres:gpu:h200:2,gres/gpu=1" to `gpus`; how many they were.
local function add_gpus(gpus, text, times)
    local number = 0
    for word in gmatch(worded(text) or "", "[^,]+") do
        local rest = match(word, "^gres[:/]gpu(.*)$") or match(word, "^gpu(.*)$")
        if rest and (rest == "" or find(rest, "^[:=]")) then
            local kind = match(rest, "^:([^:=]*[^:=0-9][^:=]*)") or ""
            local count = (tonumber(match(rest, "[:=]([0-9]+)$")) or 1) * times
            gpus[kind] = (gpus[kind] or 0) + count
            number = number + count
        end
    end
    return number
end

-- kW of a job in a partition, rounded up. `field` reads its request; too much is better than too little.
local function kilowatts(field, kind, exclusive)
    local nodes = max(given(field("min_nodes")) or 1, given(field("max_nodes")) or 1, 1)
    local tasks = max(given(field("num_tasks")) or 1, 1)
    local cpus = max(given(field("min_cpus")) or 1, tasks * (given(field("cpus_per_task")) or 1), nodes)
    local gpus = {}
    local number = add_gpus(gpus, field("tres_per_job"), 1) + add_gpus(gpus, field("tres_per_node"), nodes)
        + add_gpus(gpus, field("tres_per_task"), tasks)
        + add_gpus(gpus, field("tres_per_socket"), nodes * (given(field("sockets_per_node")) or 1))
    local per_gpu = match(worded(field("cpus_per_tres")) or "", "gpu[:=]([0-9]+)")
    if per_gpu then cpus = max(cpus, number * tonumber(per_gpu)) end
    if exclusive then cpus = max(cpus, nodes * kind.cpus) end
    local watts = cpus * kind.cpu + cpus / kind.cpus * kind.idle
    for name, count in pairs(gpus) do
        watts = watts + count * (kind.gpus[name] or kind.gpus[""] or kind.gpu)
    end
    return ceil(watts * SITE.licence.pue / 1000 - CEIL_MARGIN)
end

-- The kw licences that slurm.conf has now: Slurm refuses a job that asks for more, or for what is not there.
local function licences_there()
    local file = open(SITE.licence.conf, "r")
    if not file then return 0 end
    local total = 0
    for line in gmatch(file:read("*a") or "", "[^\n]+") do
        local value = match(line, "^[ \t]*[lL][iI][cC][eE][nN][sS][eE][sS][ \t]*=[ \t]*([^#]*)")
        if value then
            local _, own = without_kw(value)
            total = own or 0
        end
    end
    file:close()
    return min(total, SITE.licence.total)
end

-- kW of a job whose partitions all take part; nil where one does not.
local function budget(field, names, parts, flexible)
    local most
    for name in gmatch(names, "[^,]+") do
        local kind = SITE.licence.partitions[name]
        if not kind or not (kind.mode == "all" or (kind.mode == "flexible" and flexible)) then return nil end
        local record = parts[name]
        local exclusive = given(field("shared")) == 0 or (record and record.max_share == 0)
        most = max(most or 0, kilowatts(field, kind, exclusive))
    end
    return most
end

-- Might a window that is in force hold the job past its latest start?
local function held_too_long(values, now, job)
    local latest = latest_start(values, now, job)
    if not latest then return true end
    for name, window in pairs(slurm.reservations) do
        if find(name, OURS) and window.end_time + START_MARGIN > latest
            and window.start_time < latest + job:limit() + START_MARGIN then
            return true
        end
    end
    return false
end

local function joined(others, number)
    if not number or number <= 0 then return others end
    local own = format("%s:%d", LICENCE, number)
    return others == "" and own or others .. "," .. own
end

-- `directive`: in force at submission; nil for a job that is not flexible.
local function give_licence(jd, parts, directive, now, job)
    local component = given(jd.het_job_offset)
    if component and component > 0 then return end -- Slurm takes licences with the first component only
    local text = jd.licenses or ""
    local others, own = without_kw(text)
    if not others then return end
    local script, reservation = worded(jd.script), worded(jd.reservation)
    local flexible = directive ~= nil and script ~= nil
    local number
    if not jd.cron_job and not reservation then
        number = budget(function(name) return jd[name] end, job:partition(), parts, flexible)
    end
    if not number and not own then return end
    if number and directive and held_too_long(directive.values, now, job) then number = nil end
    local there = licences_there()
    if there == 0 then return end
    if number and number > there then
        slurm.log_info("%s", format("flexlon: a job of %d kW gets no licence: there are %d", number, there))
        number = nil
    end
    local wanted = joined(others, number)
    if own and own ~= number then
        slurm.log_user("%s", format("flexlon: the kw licence is the site's: the job has %d", number or 0))
    end
    if wanted ~= text then jd.licenses = wanted end
end

local ASKED = { "min_cpus", "num_tasks", "cpus_per_task", "min_nodes", "max_nodes", "shared" }
local ASKED_TRES = { "tres_per_job", "tres_per_node", "tres_per_task", "tres_per_socket", "cpus_per_tres" }

-- How the request of a pending job reads after a change: what the change says, else what the job has.
local function changed_request(jd, rec)
    local tres
    for _, name in ipairs(ASKED_TRES) do tres = tres or worded(jd[name]) end
    local had = gsub(worded(rec.tres_fmt_req_str) or "", "=([0-9]+)", ":%1")
    if find(had, "gres/gpu:[^,:]*[^,:0-9]") then had = gsub(had, "gres/gpu:[0-9]+", "") end
    return function(name)
        local value = jd[name]
        if given(value) or worded(value) then return value end
        if name == "min_cpus" then return tonumber(match(had, "cpu:([0-9]+)")) or rec.min_cpus end
        if name == "min_nodes" then return rec.min_nodes end
        if name == "tres_per_job" and not tres then return had end
        return nil
    end
end

-- A change by the owner never lowers the licence; one of the partition or of the consent is judged anew.
local function keep_licence(jd, rec, parts, uid)
    local moved, owner = worded(jd.partition), rec.user_id == uid
    if not moved and not owner then return end
    if not owner and jd.licenses then return end
    local said, now = jd.comment, time()
    local opted_out = owner and jd.begin_time > 0 and jd.begin_time <= now + 1
    local relevant = moved or jd.licenses or said or opted_out
    for _, name in ipairs(ASKED) do relevant = relevant or given(jd[name]) end
    for _, name in ipairs(ASKED_TRES) do relevant = relevant or worded(jd[name]) end
    if not relevant then return end
    local others, asked = without_kw(jd.licenses or rec.licenses or "")
    local _, had = without_kw(rec.licenses or "")
    if not others then others, asked = "", -1 end -- alternatives would let the licence go
    if had == 0 then had = nil end
    if asked == 0 then asked = nil end
    local job = setmetatable({ jd = jd, parts = parts, begin = 0, known = rec.time_limit * 60 }, Job)
    if rec.time_limit == INFINITE then job.known = UNLIMITED end
    local directive = read(said or rec.comment or "", rec.submit_time or now, job)
    local number
    if (given(rec.het_job_offset) or 0) == 0 then -- Slurm calls once for each component of a het job
        number = budget(changed_request(jd, rec), moved or rec.partition, parts, directive ~= nil and not opted_out)
    end
    if number and had then
        number = max(number, had)
    elseif number and (not (moved or said) or (directive and held_too_long(directive.values, now, job))) then
        number = nil
    end
    if number and number > licences_there() then number = had end
    local wanted = joined(others, number) -- last, so that an error anywhere before changes nothing
    if asked == number then return end
    if jd.licenses then
        slurm.log_user("%s", format("flexlon: the kw licence is the site's: the job has %d", number or 0))
    end
    jd.licenses = wanted ~= "" and wanted or LICENCE .. ":0" -- Slurm takes an empty text for no change
end

-- Reads the directive of a submission and acts on it; SUCCESS or ERROR, and the directive in force.
local function submit_directive(jd, parts, now, job)
    local comment, begin = jd.comment, job.begin
    local directive, line = read(comment or "", now, job)
    if line then
        slurm.log_user("%s", line)
        return ERROR
    end
    local script = directive and jd.script
    if not script or script == "" or jd.cron_job then return SUCCESS, directive end
    local note = format("flexlon:begin=%d", begin)
    local other = jd.admin_comment
    jd.admin_comment = other and other ~= "" and other .. ";" .. note or note
    local planned_by = now + min(SITE.window, LATEST_WINDOW)
    if begin >= planned_by or SITE.window <= 0 then return SUCCESS, directive end
    local reservation = jd.reservation
    if (reservation and reservation ~= "") or not can_wait(directive.values, now, job, planned_by) then
        return SUCCESS, directive
    end
    -- Last, so that an error anywhere before leaves the job's begin time as it was.
    if flexlond_is_alive(now) then jd.begin_time = planned_by end
    return SUCCESS, directive
end

-- Any error lets the job through: 26.05 refuses every submission on an error that Lua does not catch.
local function guarded(where, decide, ...)
    local ok, result, more = pcall(decide, ...)
    if ok then return result, more end
    pcall(function() slurm.log_error("%s", "flexlon: " .. where .. " let the job through: " .. tostring(result)) end)
    return SUCCESS
end

local function submit(jd, parts)
    local comment = jd.comment
    local annotated = (comment and find(comment, MARK)) or SITE.opt_in[1]
    if not annotated and not SITE.licence then return SUCCESS end
    local now, begin = time(), jd.begin_time
    local job = setmetatable({ jd = jd, parts = parts, begin = begin }, Job)
    local result, directive = SUCCESS, nil
    if annotated then result, directive = submit_directive(jd, parts, now, job) end
    -- Guarded by itself: what goes wrong here takes nothing back of what was done before.
    if result == SUCCESS and SITE.licence then
        guarded("slurm_job_submit (licence)", give_licence, jd, parts, directive, now, job)
    end
    return result
end

local function modify_directive(jd, rec, parts, uid)
    local comment = jd.comment
    if not comment or not find(comment, MARK) or rec.user_id ~= uid then return SUCCESS end
    local job = setmetatable({ jd = jd, parts = parts }, Job)
    job.begin = tonumber(match(rec.admin_comment or "", "flexlon:begin=([0-9]+)") or 0)
    local minutes = jd.time_limit
    if minutes == NO_VAL then minutes = rec.time_limit end
    job.known = minutes == INFINITE and UNLIMITED or minutes * 60
    -- Relative times count from the submission, as the daemon will count them.
    local _, line = read(comment, rec.submit_time or time(), job)
    if line then
        slurm.log_user("%s", line)
        return ERROR
    end
    return SUCCESS
end

local function modify(jd, rec, parts, uid)
    local result = modify_directive(jd, rec, parts, uid)
    if result == SUCCESS and SITE.licence then
        guarded("slurm_job_modify (licence)", keep_licence, jd, rec, parts, uid)
    end
    return result
end

function slurm_job_submit(jd, parts, uid) return guarded("slurm_job_submit", submit, jd, parts, uid) end

function slurm_job_modify(jd, rec, parts, uid) return guarded("slurm_job_modify", modify, jd, rec, parts, uid) end

-- slurmctld takes the first value; the tests take the second.
return SUCCESS, { read = read, parse_time = parse_time, parse_duration = parse_duration, Job = Job, SITE = SITE }
