-- Slurm's side of job_submit/lua, for tests: job descriptions, partitions and the slurm table.
-- Fields behave as in the C plugin: reads and writes go through functions, an unset number is NO_VAL.
local stub = { NO_VAL = 4294967294, INFINITE = 4294967295, calls = 0 }

-- Fails the call number `stub.fail_at` (and all later ones with `stub.for_good`) of everything the plugin calls.
local function counted(f)
    return function(...)
        if stub.armed then
            stub.calls = stub.calls + 1
            if stub.fail_at == stub.calls or (stub.for_good and stub.calls > stub.fail_at) then
                error(stub.fault or "injected fault", 0)
            end
        end
        return f(...)
    end
end

-- Must run before the plugin is loaded: it keeps the functions it finds. pcall is what protects it.
function stub.wrap_everything()
    for _, library in ipairs({ "string", "table", "math", "os" }) do
        for name, f in pairs(_G[library]) do
            if type(f) == "function" then _G[library][name] = counted(f) end
        end
    end
    local open = io.open
    io.open = counted(function(...)
        local file = open(...)
        if not file then return nil end
        return {
            read = counted(function(_, ...) return file:read(...) end),
            close = counted(function() return file:close() end),
        }
    end)
    for _, name in ipairs({ "ipairs", "pairs", "tonumber", "tostring", "type", "setmetatable" }) do
        _G[name] = counted(_G[name])
    end
end

-- os.time() is the scenario's; everything else of the clock is real.
function stub.fix_time(moment)
    local real = os.time
    os.time = function(...)
        if select("#", ...) == 0 then return moment end
        return real(...)
    end
end

local raw_set = setmetatable

function stub.record(fields, defaults, seen)
    return raw_set({}, {
        __index = counted(function(_, name)
            seen[#seen + 1] = name
            local value = fields[name]
            if value == nil then value = defaults[name] end
            return value
        end),
        __newindex = counted(function(_, name, value) fields[name] = value end),
    })
end

stub.unset = { min_cpus = stub.NO_VAL, max_nodes = stub.NO_VAL, min_nodes = stub.NO_VAL, num_tasks = stub.NO_VAL,
    cpus_per_task = 65534, sockets_per_node = 65534, shared = 65534, het_job_offset = stub.NO_VAL,
    begin_time = 0, time_limit = stub.NO_VAL, time_min = stub.NO_VAL, priority = stub.NO_VAL, cron_job = false }

function stub.parts(partitions)
    local list = {}
    for name, fields in pairs(partitions) do list[name] = stub.record(fields, {}, {}) end
    return list
end

function stub.slurm(out)
    -- log_user formats what it is given, as the C plugin does.
    return {
        SUCCESS = 0, ERROR = -1, NO_VAL = stub.NO_VAL,
        log_user = counted(function(...) out.user[#out.user + 1] = string.format(...) end),
        log_error = counted(function(...) out.log[#out.log + 1] = string.format(...) end),
        log_info = counted(function(...) out.log[#out.log + 1] = string.format(...) end),
    }
end

function stub.json(value)
    if type(value) == "table" then
        local list = {}
        if #value > 0 or value.is_list then
            for _, one in ipairs(value) do list[#list + 1] = stub.json(one) end
            return "[" .. table.concat(list, ",") .. "]"
        end
        for key, one in pairs(value) do list[#list + 1] = stub.json(key) .. ":" .. stub.json(one) end
        return "{" .. table.concat(list, ",") .. "}"
    elseif type(value) == "string" then
        return '"' .. value:gsub('[%c"\\\127-\255]', function(c) return ("\\u%04x"):format(c:byte()) end) .. '"'
    elseif type(value) == "number" then
        return ("%.17g"):format(value)
    end
    return tostring(value)
end

return stub
