/** Style sheet of a report: system fonts, light and dark, readable on a phone and on paper. */
export const REPORT_STYLE = `
:root { color-scheme: light dark; --ink: #22252b; --faint: #5f656e; --page: #fbfaf7; --card: #ffffff; --rule: #dedbd3;
  --accent: #0b6bb0; --best: #e4f2ea; --best-ink: #14603d; --emphasis: #f4f1e8; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8e6e1; --faint: #a3a8b0; --page: #16181c; --card: #1f2227; --rule: #363a41;
  --accent: #6db9f2; --best: #1d3a2c; --best-ink: #8fdcb2; --emphasis: #282b31; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); font: 16px/1.55 Inter, system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
main, header, footer { max-width: 1120px; margin: 0 auto; padding: 0 24px; }
header { padding-top: 44px; }
h1 { font-size: 2rem; line-height: 1.2; letter-spacing: -0.02em; margin: 0 0 6px; }
h2 { font-size: 1.25rem; letter-spacing: -0.01em; margin: 52px 0 4px; }
.lead { color: var(--faint); margin: 0; max-width: 46rem; font-size: 1.05rem; }
.note { color: var(--faint); margin: 0 0 16px; max-width: 46rem; }
.highlights { display: flex; flex-wrap: wrap; gap: 14px; margin: 28px 0 0; padding: 0; list-style: none; }
.highlights li { flex: 1 1 190px; background: var(--card); border: 1px solid var(--rule); border-radius: 10px; padding: 14px 18px; }
.highlights .label, .highlights .detail { display: block; color: var(--faint); font-size: 0.86rem; }
.highlights .value { display: block; font-size: 1.75rem; font-weight: 650; letter-spacing: -0.02em; font-variant-numeric: tabular-nums; line-height: 1.3; }
.table-scroll { overflow-x: auto; background: var(--card); border: 1px solid var(--rule); border-radius: 10px; margin: 16px 0; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
caption { text-align: left; padding: 14px 18px 8px; }
.caption-text { display: inline-block; max-width: calc(100vw - 66px); white-space: normal; }
.caption-title { font-weight: 650; }
.caption-note { color: var(--faint); font-size: 0.9rem; margin-left: 6px; }
th, td { padding: 7px 12px; text-align: right; white-space: nowrap; }
thead th { color: var(--faint); font-weight: 550; font-size: 0.86rem; }
thead th[scope="colgroup"] { text-align: center; }
th[scope="row"], thead tr:first-child th:first-child { text-align: left; font-weight: 500; padding-left: 18px; }
tbody tr { border-top: 1px solid var(--rule); }
th.group, td.group { border-left: 1px solid var(--rule); }
tr.emphasis { background: var(--emphasis); }
tr.emphasis th[scope="row"] { font-weight: 650; }
td.best { background: var(--best); color: var(--best-ink); }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 430px), 1fr)); gap: 18px; }
.charts figure { background: var(--card); border: 1px solid var(--rule); border-radius: 10px; padding: 14px; }
figure { margin: 0; }
figure svg, figure img { display: block; width: 100%; height: auto; }
figcaption { color: var(--faint); font-size: 0.92rem; margin-top: 8px; }
.gallery { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 400px), 1fr)); gap: 22px 18px; align-items: start; }
.gallery svg { border: 1px solid var(--rule); border-radius: 10px; }
.strips { display: grid; gap: 24px; }
.cameras { display: grid; grid-template-columns: repeat(3, 1fr); gap: 4px; border-radius: 10px; overflow: hidden; }
.camera { position: relative; }
.camera-name { position: absolute; left: 6px; top: 6px; padding: 1px 7px; border-radius: 6px; background: rgb(0 0 0 / 0.55); color: #fff; font-size: 0.72rem; }
dl { display: grid; grid-template-columns: minmax(8rem, max-content) 1fr; gap: 4px 24px; margin: 16px 0; background: var(--card); border: 1px solid var(--rule); border-radius: 10px; padding: 16px 18px; }
dt { color: var(--faint); }
dd { margin: 0; overflow-wrap: anywhere; }
footer { color: var(--faint); font-size: 0.86rem; padding-top: 40px; padding-bottom: 48px; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
@media (max-width: 560px) { main, header, footer { padding-left: 14px; padding-right: 14px; } h1 { font-size: 1.55rem; } dl { grid-template-columns: 1fr; gap: 0; } dd { margin-bottom: 8px; }
  .camera-name { font-size: 0.6rem; left: 3px; top: 3px; padding: 0 4px; } }
@media print { :root { color-scheme: light; --page: #fff; --card: #fff; --ink: #000; --faint: #444; --rule: #ccc; --emphasis: #f3f3f3; --best: #e8f3ec; --best-ink: #14603d; }
  body { font-size: 11pt; } .table-scroll { overflow: visible; } figure, tr, .table-scroll, .highlights li { break-inside: avoid; } h2 { break-after: avoid; }
  .gallery { grid-template-columns: repeat(2, 1fr); } .charts { grid-template-columns: repeat(2, 1fr); } th, td { padding: 4px 7px; } }
`;
