-- Reads directives with the real plugin, without Slurm: lua5.1 read_cases.lua FOLDER CASES
-- FOLDER has one rendered plugin for each settings name; CASES returns a list of cases. One JSON line each.
local folder, cases = arg[1], dofile(arg[2])

local function json(value)
    if type(value) == "table" then
        local parts = {}
        if #value > 0 then
            for _, one in ipairs(value) do parts[#parts + 1] = json(one) end
            return "[" .. table.concat(parts, ",") .. "]"
        end
        for key, one in pairs(value) do parts[#parts + 1] = json(key) .. ":" .. json(one) end
        return "{" .. table.concat(parts, ",") .. "}"
    elseif type(value) == "string" then
        return '"' .. value:gsub('[%c"\\\127-\255]', function(c) return ("\\u%04x"):format(c:byte()) end) .. '"'
    elseif type(value) == "number" then
        return ("%.17g"):format(value)
    end
    return tostring(value)
end

local plugins = {}
local function plugin(name)
    if not plugins[name] then
        local _, parts = assert(loadfile(folder .. "/" .. name .. ".lua"))()
        plugins[name] = parts
    end
    return plugins[name]
end

-- The plugin asks a job for what it needs; here the answers stand in the case.
local Case = {}
Case.__index = Case
function Case:partition() return self.case.partition end
function Case:qos() return self.case.qos end
function Case:account() return self.case.account end
function Case:limit() return self.case.time_limit end

for _, case in ipairs(cases) do
    local job = setmetatable({ case = case, begin = case.begin }, Case)
    local ok, found, line, off = pcall(plugin(case.settings).read, case.comment, case.now, job)
    local answer
    if not ok then
        answer = { error = found }
    elseif line then
        answer = { reject = line }
    elseif not found then
        answer = { not_flexible = off or false }
    else
        local fields = { source = found.source }
        for key, value in pairs(found.values) do
            if key == "class" then key = "flex_class" end
            fields[key:gsub("-", "_")] = value
        end
        answer = { directive = fields }
    end
    print(json(answer))
end
