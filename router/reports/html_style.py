"""The style of the report's page: light and dark by the reader's own setting, and on paper."""

STYLE = """
:root { color-scheme: light dark;
  --ground: #ffffff; --ink: #1b1f24; --soft: #57606a; --line: #d5dae0; --band: #f5f7f9;
  --s0: #0b6bb0; --s1: #d98200; --s2: #00845f; --s3: #b5558f; --s4: #3f8fc4; --s5: #c44e00;
  --s6: #75808c; --bad: #b3261e; }
@media (prefers-color-scheme: dark) { :root {
  --ground: #14171b; --ink: #e8ebee; --soft: #a3adb8; --line: #343b43; --band: #1d2228;
  --s0: #58a9e8; --s1: #f0a63c; --s2: #3dbd94; --s3: #dc8fbd; --s4: #93c9ee; --s5: #f08a4b;
  --s6: #939eaa; --bad: #ff8a80; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Liberation Sans", sans-serif; }
main { max-width: 62rem; margin: 0 auto; padding: 1.5rem 1rem 3rem; }
h1 { font-size: 1.6rem; line-height: 1.2; margin: 0 0 .25rem; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 2.25rem 0 .25rem; }
h3 { font-size: 1rem; margin: 1.25rem 0 .25rem; overflow-wrap: anywhere; }
p { margin: .25rem 0 .75rem; max-width: 46rem; }
h1 + p { max-width: none; }
.soft, caption, .unknown { color: var(--soft); }
.warn { color: var(--bad); }
.facts { display: grid; grid-template-columns: repeat(6, 1fr);
  gap: .75rem 1.25rem; margin: 1.25rem 0 0; }
.facts div { border-top: 2px solid var(--line); padding-top: .4rem; }
.facts dt { color: var(--soft); font-size: .875rem; }
.facts dd { margin: 0; font-size: 1.25rem; font-variant-numeric: tabular-nums;
  overflow-wrap: anywhere; }
.facts small, td small { display: block; color: var(--soft); font-size: .75rem; }
th.n.name { white-space: normal; overflow-wrap: anywhere; }
.chart { width: 100%; height: auto; display: block; margin: .5rem 0; }
.narrow { display: none; }
.grid { stroke: var(--line); stroke-width: 1; }
.tick { fill: var(--soft); font-size: 12px; }
.legend { list-style: none; display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; margin: 0;
  padding: 0; font-size: .875rem; overflow-wrap: anywhere; }
.legend svg { width: .8rem; height: .8rem; margin-right: .4rem; }
.s0 { fill: var(--s0); } .s1 { fill: var(--s1); } .s2 { fill: var(--s2); }
.s3 { fill: var(--s3); } .s4 { fill: var(--s4); } .s5 { fill: var(--s5); }
.s6 { fill: var(--s6); } .bad { fill: var(--bad); } .track { fill: var(--line); opacity: .55; }
.bar { width: 100%; min-width: 4rem; display: block; overflow: hidden; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .875rem; margin: .5rem 0; }
caption { text-align: left; padding-bottom: .25rem; }
th, td { text-align: left; padding: .3rem .75rem .3rem 0; border-bottom: 1px solid var(--line);
  vertical-align: middle; }
th { font-weight: 600; } thead th { vertical-align: bottom; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
td.b { width: 30%; min-width: 6rem; vertical-align: middle; }
th.t { min-width: 9.5rem; overflow-wrap: anywhere; }
details { margin: .5rem 0; } summary { cursor: pointer; color: var(--soft); }
@media (max-width: 60rem) { .facts { grid-template-columns: repeat(3, 1fr); } }
@media (max-width: 40rem) { .narrow { display: block; } .full { display: none; }
  .facts { grid-template-columns: repeat(2, 1fr); } th, td { padding-right: .5rem; }
  th.t { min-width: 8rem; } td.b { min-width: 3rem; width: 15%; } .bar { min-width: 3rem; } }
@media print { :root { --ground: #fff; --ink: #000; --soft: #444; --line: #bbb; --s0: #0b6bb0;
  --s1: #d98200; --s2: #00845f; --s3: #b5558f; --s4: #3f8fc4; --s5: #c44e00; --s6: #75808c; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  main { max-width: none; padding: 0; } section { break-inside: avoid-page; }
  .wide { overflow: visible; } h2 { break-after: avoid; } tr { break-inside: avoid; }
  /* What is folded on a screen is on paper, where nobody can unfold it. */
  details::details-content { content-visibility: visible; block-size: auto; }
  section:has(details) { break-inside: auto; } table { font-size: .75rem; } }
"""
