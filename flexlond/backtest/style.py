"""The report's style sheet.

Law: looks only. Light by default, dark where the reader's system is, always light on paper; contrast of text
at least 4.5 to 1 in both. Series colours c0 (asap) to c7 are those that svg.py names.
"""

STYLE = """\
:root {
  --paper: #fff; --ink: #1b1f24; --soft: #57606a; --rule: #d8dee4; --tint: #f6f8fa; --alert: #fff4d6;
  --c0: #6e7781; --c1: #0072b2; --c2: #d55e00; --c3: #00875f; --c4: #b3568f; --c5: #b87a00; --c6: #2b8fcf;
  --c7: #7a4b2a;
}
@media screen and (prefers-color-scheme: dark) {
  :root {
    --paper: #12161b; --ink: #e6eaef; --soft: #a3adb8; --rule: #333b45; --tint: #1b2129; --alert: #3a3010;
    --c0: #98a2ad; --c1: #4aa8e8; --c2: #ff8a3d; --c3: #2fc191; --c4: #e58cc3; --c5: #e8a823; --c6: #8ad0ff;
    --c7: #c99a78;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; padding: 2.5rem 1.5rem 3rem; max-width: 84rem; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Liberation Sans", sans-serif;
}
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 .5rem; letter-spacing: -.01em; }
h2 { font-size: 1.25rem; margin: 3rem 0 .9rem; padding-top: .9rem; border-top: 1px solid var(--rule); }
h3 { font-size: 1rem; margin: 1.6rem 0 .4rem; }
p { max-width: 46rem; }
.lead { font-size: 1.06rem; color: var(--soft); margin: 0 0 1rem; }
.label {
  display: block; max-width: none; margin: 0 0 .7rem; padding: .6rem .9rem; background: var(--alert);
  border-left: 4px solid var(--c5); border-radius: 3px;
}
.label strong { text-transform: uppercase; letter-spacing: .05em; font-size: .8rem; margin-right: .7rem; }
.label ul { margin: .3rem 0 0; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; font-size: .84rem; }
th, td { padding: .42rem .45rem; text-align: right; vertical-align: top; white-space: nowrap; }
thead th { vertical-align: bottom; font-weight: 600; border-bottom: 2px solid var(--ink); white-space: normal; }
tbody tr { border-bottom: 1px solid var(--rule); }
tbody tr:hover { background: var(--tint); }
th:first-child, .plain td:first-child { text-align: left; }
tbody th { font-weight: 600; position: sticky; left: 0; background: var(--paper); }
small { display: block; font-size: .72rem; font-weight: 400; color: var(--soft); }
.plain td { font-size: .85rem; }
.plain td:last-child { text-align: left; } .plain th:last-child { text-align: left; }
code { font: .8rem ui-monospace, "DejaVu Sans Mono", monospace; }
section ul { margin: .5rem 0; padding-left: 1.1rem; color: var(--soft); font-size: .9rem; }
.legend { display: flex; flex-wrap: wrap; gap: .3rem 1.4rem; list-style: none; margin: .3rem 0; }
section ul.legend { padding: 0; }
.legend li { color: var(--ink); }
section ul.notes { list-style: none; padding: 0; margin: .8rem 0 0; }
.pair { display: grid; gap: 1.2rem 2rem; }
.pair { grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr)); }
figure { margin: 0; }
figure.full { min-width: 52rem; }
.caption { color: var(--soft); font-size: .9rem; margin: .5rem 0; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .25rem 1.2rem; font-size: .9rem; margin: 0; }
dt { font-weight: 600; } dd { margin: 0; color: var(--soft); overflow-wrap: anywhere; }
footer { margin-top: 3rem; padding-top: .9rem; border-top: 1px solid var(--rule); }
footer { color: var(--soft); font-size: .85rem; }
svg { display: block; width: 100%; height: auto; overflow: visible; }
svg text { font-size: 12px; fill: var(--soft); } svg text.name { fill: var(--ink); }
svg.swatch { display: inline-block; width: 2.1rem; height: .9rem; vertical-align: -.1rem; }
.grid { stroke: var(--rule); stroke-width: 1; } .axis { stroke: var(--soft); stroke-width: 1.2; }
.line { fill: none; stroke-width: 2; stroke-linejoin: round; } .line.thin { stroke-width: 1.3; }
.ink { stroke: var(--ink); } .area { fill-opacity: .22; }
.reference { stroke: var(--c0); stroke-width: 1.1; stroke-dasharray: 1.5 2.5; }
.c0 { fill: var(--c0); } .c1 { fill: var(--c1); } .c2 { fill: var(--c2); } .c3 { fill: var(--c3); }
.c4 { fill: var(--c4); } .c5 { fill: var(--c5); } .c6 { fill: var(--c6); } .c7 { fill: var(--c7); }
.s0 { stroke: var(--c0); } .s1 { stroke: var(--c1); } .s2 { stroke: var(--c2); } .s3 { stroke: var(--c3); }
.s4 { stroke: var(--c4); } .s5 { stroke: var(--c5); } .s6 { stroke: var(--c6); } .s7 { stroke: var(--c7); }
.hollow { fill: var(--paper); stroke-width: 2; }
.c1.hollow { stroke: var(--c1); } .c2.hollow { stroke: var(--c2); } .c3.hollow { stroke: var(--c3); }
.c4.hollow { stroke: var(--c4); } .c5.hollow { stroke: var(--c5); } .c6.hollow { stroke: var(--c6); }
.c7.hollow { stroke: var(--c7); }
@media print {
  body { max-width: none; padding: 0; font-size: 10.5pt; }
  h2 { break-after: avoid; } figure, tr, .label { break-inside: avoid; }
  .wide { overflow: visible; } table { font-size: 7.5pt; } th, td { padding: .2rem .25rem; }
  figure.full { min-width: 0; } .pair { grid-template-columns: 1fr 1fr; }
  @page { size: A4 landscape; margin: 12mm; }
}
"""
