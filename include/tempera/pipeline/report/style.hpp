// SPDX-License-Identifier: Apache-2.0
#pragma once
// The style sheets of charts and of the page around them: light and dark, ten colors that stay apart for color-blind
// readers, no scripts.

namespace tempera::report_detail {

inline constexpr char chart_style[] = R"css(
:root{color-scheme:light dark;--page:#f6f7f9;--card:#fff;--ink:#1b2330;--soft:#5b6675;--faint:#e3e7ec;--edge:#d9dee5;
--accent:#2368b5;--tint:#eef4fb;
--c0:#2368b5;--c1:#d9690f;--c2:#0f8f6b;--c3:#b8478f;--c4:#1f97cc;--c5:#a88400;--c6:#6a4fb3;--c7:#9c2b3f;--c8:#6b7280;--c9:#5c8a1c}
@media(prefers-color-scheme:dark){:root{--page:#12161c;--card:#1a2028;--ink:#e6eaf0;--soft:#9aa5b4;--faint:#2b333e;--edge:#303945;
--accent:#6ea8ee;--tint:#1d2937;
--c0:#6ea8ee;--c1:#f59a4c;--c2:#3fc39b;--c3:#e384bf;--c4:#62c9f3;--c5:#dcb83a;--c6:#a891ec;--c7:#e26d7d;--c8:#a3abb8;--c9:#9ccb52}}
svg{display:block;width:100%;min-width:400px;height:auto;font-size:12px}
svg text{fill:var(--soft)}
.axis line{stroke:var(--faint);stroke-width:1}
.axis .base{stroke:var(--soft)}
.tick{font-size:12px;font-variant-numeric:tabular-nums}
.line{fill:none;stroke:var(--c);stroke-width:2;stroke-linejoin:round;stroke-linecap:round}
.line.dashed{stroke-dasharray:6 5}
.band{fill:var(--c);opacity:.16}
.end{fill:var(--c);stroke:var(--card);stroke-width:1.5}
svg .direct{fill:var(--c);font-weight:600;white-space:pre;font-variant-numeric:tabular-nums}
.dots{fill:none;stroke:var(--c);stroke-linecap:round;opacity:.78}
svg .place{fill:var(--ink);font-size:13px;font-weight:600;paint-order:stroke;stroke:var(--card);stroke-width:4px;stroke-linejoin:round}
.s0{--c:var(--c0)}.s1{--c:var(--c1)}.s2{--c:var(--c2)}.s3{--c:var(--c3)}.s4{--c:var(--c4)}
.s5{--c:var(--c5)}.s6{--c:var(--c6)}.s7{--c:var(--c7)}.s8{--c:var(--c8)}.s9{--c:var(--c9)}
)css";

inline constexpr char page_style[] = R"css(
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);font:16px/1.6 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans","DejaVu Sans",sans-serif}
main{max-width:1040px;margin:0 auto;padding:3rem 1.25rem 4rem}
h1{font-size:2.1rem;line-height:1.2;letter-spacing:-.015em;margin:0 0 .4rem}
h2{font-size:1.4rem;letter-spacing:-.01em;margin:3rem 0 .5rem}
h3{font-size:1.05rem;margin:0 0 .35rem}
h4{font-size:.92rem;margin:.4rem 0 .1rem;font-weight:600}
p{margin:.5rem 0 1rem;max-width:46rem}
.subtitle{font-size:1.1rem;color:var(--soft);margin:0 0 1.5rem}
.label{color:var(--accent);margin-right:.4rem}
.caption,.note,figcaption p{color:var(--soft);font-size:.9rem;line-height:1.5;margin:.1rem 0 .9rem;max-width:54rem}
.note{margin:.7rem 0 0}
.card{background:var(--card);border:1px solid var(--edge);border-radius:12px;padding:1.25rem 1.4rem;margin:1.25rem 0}
figure{margin:1.25rem 0}
.scroll{overflow-x:auto}
pre{background:var(--tint);border-radius:8px;padding:.8rem 1rem;overflow-x:auto;font:.88rem/1.5 ui-monospace,"DejaVu Sans Mono",monospace}
.facts{display:grid;grid-template-columns:repeat(auto-fit,minmax(11rem,1fr));gap:1rem;margin:1.5rem 0}
.fact{background:var(--card);border:1px solid var(--edge);border-radius:12px;padding:1rem 1.2rem}
.fact b{display:block;font-size:1.75rem;line-height:1.2;letter-spacing:-.02em;color:var(--accent);font-variant-numeric:tabular-nums}
.fact span{color:var(--soft);font-size:.88rem;line-height:1.4;display:block;margin-top:.25rem}
table{border-collapse:collapse;width:100%;font-size:.95rem;font-variant-numeric:tabular-nums}
th,td{padding:.5rem .8rem;text-align:left;vertical-align:baseline}
tbody tr{border-top:1px solid var(--faint)}
tbody tr:hover{background:var(--tint)}
thead{border-bottom:2px solid var(--edge)}
thead th{font-weight:600;color:var(--soft);font-size:.86rem}
.groups th{text-align:center;border-bottom:1px solid var(--edge);color:var(--ink)}
.groups td{padding:0}
tbody th{font-weight:500}
.narrow{text-align:right;white-space:nowrap}
.deviation{color:var(--soft);font-weight:400;font-size:.85em}
.legend{display:flex;flex-wrap:wrap;gap:.25rem 1.1rem;list-style:none;margin:.2rem 0 .6rem;padding:0;font-size:.88rem;color:var(--soft)}
.swatch{display:inline-block;width:1.1rem;margin-right:.4rem;vertical-align:middle;border-top:3px solid var(--c);border-radius:2px}
.swatch.dot{width:.7rem;height:.7rem;border:0;border-radius:50%;background:var(--c)}
.swatch.dashed{border-top-style:dashed}
.panels{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(400px,100%),1fr));gap:.6rem 1.6rem}
.panels.three{grid-template-columns:repeat(auto-fit,minmax(min(270px,100%),1fr));gap:.6rem 1.2rem}
.panels.three svg{min-width:270px}
.panel{min-width:0}
.images{display:grid;grid-template-columns:max-content 1fr;gap:.7rem 1rem;align-items:center;width:max-content;min-width:100%}
.row-label{font-size:.88rem;color:var(--soft);max-width:9rem}
.row{display:flex;gap:.5rem}
.image{width:calc(var(--across) + 8px);text-align:center}
.image img{display:block;margin:0 auto;padding:2px;border:2px solid transparent;border-radius:5px;box-sizing:content-box;image-rendering:pixelated}
.image span{display:block;font-size:.72rem;line-height:1.25;color:var(--soft);margin-top:.2rem}
.image.right img{border-color:var(--c2)}
.image.wrong img{border:2px dashed var(--c1)}
.image.right span{color:var(--c2)}
.image.wrong span{color:var(--c1)}
.spaced{margin-top:.9rem}
.images>.spaced:nth-child(-n+2){margin-top:0}
.image.apart{margin-right:1.2rem}
footer{color:var(--soft);font-size:.85rem;margin-top:3rem;border-top:1px solid var(--edge);padding-top:1rem}
@media(max-width:600px){main{padding-top:1.5rem}h1{font-size:1.6rem}.card{padding:1rem}th,td{padding:.4rem .45rem}}
@media print{body{background:#fff}.card{break-inside:avoid}}
)css";

}  // namespace tempera::report_detail
