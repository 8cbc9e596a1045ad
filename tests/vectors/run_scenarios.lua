-- Submissions through the real plugin: lua5.1 run_scenarios.lua STUB PLUGIN SCENARIOS MODE
-- MODE plain: one JSON line for each scenario. MODE faults: every call of every scenario fails in turn, once
-- alone and once with everything after it; one JSON line for each run.
local stub, scenarios, mode = dofile(arg[1]), dofile(arg[3]), arg[4]
local json = stub.json
stub.fix_time(scenarios.now)
if mode == "faults" then stub.wrap_everything() end
slurm = {}
assert(assert(loadfile(arg[2]))() == 0)

local function copy(fields)
    local new = {}
    for key, value in pairs(fields or {}) do new[key] = value end
    return new
end

local function run(scenario)
    local out = { user = { is_list = true }, log = { is_list = true } }
    slurm = stub.slurm(out)
    slurm.reservations = scenario.reservations or {}
    local fields, seen = copy(scenario.job), { is_list = true }
    local jd = stub.record(fields, stub.unset, seen)
    local parts = stub.parts(scenarios.partitions)
    local rec = scenario.rec and stub.record(copy(scenario.rec), {}, {})
    stub.calls, stub.armed = 0, true
    local ok, rc
    if rec then
        ok, rc = pcall(slurm_job_modify, jd, rec, parts, scenario.uid or 1000)
    else
        ok, rc = pcall(slurm_job_submit, jd, parts, scenario.uid or 1000)
    end
    stub.armed = false
    return {
        name = scenario.name, ok = ok, rc = rc, user = out.user, log = out.log, calls = stub.calls, seen = seen,
        begin_time = fields.begin_time or 0, admin_comment = fields.admin_comment or "",
        licenses = fields.licenses or "",
    }
end

for _, scenario in ipairs(scenarios) do
    if mode == "plain" then
        print(json(run(scenario)))
    else
        stub.fail_at = -1
        local total = run(scenario).calls
        for _, for_good in ipairs({ false, true }) do
            for _, fault in ipairs({ "injected fault", { "no string" } }) do
                for at = 1, total do
                    stub.fail_at, stub.for_good, stub.fault = at, for_good, fault
                    local result = run(scenario)
                    result.at, result.total, result.for_good = at, total, for_good
                    print(json(result))
                end
            end
        end
        stub.for_good = false
    end
end
