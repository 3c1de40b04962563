"""The page's skeleton and its style sheet: one column, light or dark as the reader's device is."""

STYLE = """
:root { color-scheme: light dark; --ink: #24292f; --paper: #ffffff; --faint: #59636e;
        --line: #d1d9e0; --box: #f3f6f9; --mark: #2474b5; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e3e8ee; --paper: #14181d; --faint: #9aa5b1; --line: #39424d; --box: #1d232b;
          --mark: #58a6e8; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.2rem 1rem 4rem; max-width: 46rem; background: var(--paper);
       color: var(--ink); font: 1rem/1.5 system-ui, "Segoe UI", Roboto, sans-serif;
       overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; line-height: 1.25; margin: 0; }
h2 { font-size: 1.15rem; margin: 2.4rem 0 .6rem; padding-top: .6rem;
     border-top: 1px solid var(--line); }
.faint, figcaption { color: var(--faint); font-size: .88rem; }
.answer { background: var(--box); border-left: 4px solid var(--mark); padding: .8rem 1rem;
          margin: 1.2rem 0; font-size: 1.1rem; font-weight: 600; }
ul { padding-left: 1.2rem; } li { margin: .35rem 0; }
dl { display: grid; grid-template-columns: minmax(6rem, max-content) 1fr; gap: .2rem 1rem; }
dt { font-weight: 600; } dd { margin: 0; }
@media (max-width: 32rem) { dl { display: block; } dd { margin-bottom: .5rem; } }
svg { display: block; width: 100%; max-width: 36rem; height: auto; margin: .6rem 0; }
svg text { font-family: system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif !important; }
figure { margin: .5rem 0; }
img { display: block; max-width: 100%; border-radius: 3px; }
.goal { display: flex; flex-wrap: wrap; gap: .6rem; } .goal figure { margin: 0; max-width: 9rem; }
.goal img { height: 6rem; } .goal figcaption { overflow-wrap: anywhere; }
.wide { overflow-x: auto; } .wide img { min-width: 34rem; width: 100%; }
.films { display: grid; grid-template-columns: repeat(auto-fill, minmax(9.5rem, 1fr)); gap: 1rem; }
.films figure { margin: 0; } video { width: 100%; border-radius: 3px; background: #000; }
table { border-collapse: collapse; font-size: .85rem; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .3rem .8rem .3rem 0; border-bottom: 1px solid var(--line);
         vertical-align: top; overflow-wrap: normal; white-space: nowrap; }
th { color: var(--faint); font-weight: 600; }
pre { background: var(--box); padding: .8rem; overflow-x: auto; font-size: .82rem; }
summary { cursor: pointer; color: var(--mark); margin: .6rem 0; }
"""

# the policy in the head has the browser itself refuse whatever would leave this file
PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:;
 media-src data:; style-src 'unsafe-inline'">
<title>$title</title>
<style>$style</style>
</head>
<body>
<h1>$title</h1>
<p class="faint">$subtitle</p>
<p class="answer">$answer</p>
$verdicts
<p class="faint">$multiplicity</p>

<h2>How often each arm succeeded</h2>
$success
$differences
$arms

<h2>What the robot saw</h2>
<p>The encoder is frozen; it only measures how far a frame is from the goal. A useful reward needs
that distance to fall when the task is being done, and to stay up when it is not.</p>
$goal
$strips
$distances

<h2>What the weights do</h2>
<p>Cloning weighs all transitions alike (the diagonal). The more a curve bulges, the fewer
transitions the policy is really trained on.</p>
$weights

<h2>Where it worked</h2>
$placements

<h2>Rollouts</h2>
$videos

<h2>All numbers</h2>
$numbers
<details><summary>Every pair of arms</summary>$pairs</details>

<h2>How this was measured</h2>
<p>$method</p>
<details><summary>Recipe</summary><pre>$recipe</pre></details>
<details><summary>Minutes and versions</summary>$minutes
$versions</details>
</body>
</html>
"""
