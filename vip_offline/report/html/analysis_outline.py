"""The page of an analysis without its contents: order, style, and what each number means."""

from vip_offline.report.html.style import STYLE

LOOK = (
    STYLE
    + """
.numbers { font-size: .82rem; }
.numbers th:first-child { position: sticky; left: 0; background: var(--paper); color: var(--ink);
  min-width: 8.5rem; max-width: 11rem; white-space: normal; padding-right: .6rem; z-index: 1; }
.numbers td, .numbers th + th { padding-right: .7rem; }
.numbers th + th { white-space: normal; overflow-wrap: anywhere; min-width: 4.6rem;
  max-width: 8rem; }
.numbers .control { color: var(--faint); }
.numbers small, .numbers th small { display: block; color: var(--faint); font-weight: 400;
  font-size: .75rem; line-height: 1.3; }
.numbers td small { white-space: nowrap; }
.flags td:first-child, .flags td:nth-child(3) { white-space: normal; min-width: 8rem; }
.strip { margin: 1.4rem 0; }
.strip > div { overflow-x: auto; } .strip > div > div { min-width: 36rem; }
.strip svg { max-width: none; margin: 0; } .strip img { width: 100%; border-radius: 0; }
.pairs { display: grid; gap: .8rem;
  grid-template-columns: repeat(auto-fill, minmax(10.6rem, 1fr)); }
.pairs figure { margin: 0; } .pairs img { width: 100%; }
.warning { border-left: 4px solid #d98200; padding: .2rem 1rem; }
a { color: var(--mark); }
h3 { font-size: 1rem; margin: 1.6rem 0 .3rem; }
.meaning { display: block; } .meaning dt { margin-top: .9rem; } .meaning dd { margin: 0; }
"""
)

# the policy in the head has the browser itself refuse whatever would leave this file
PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:;
 style-src 'unsafe-inline'">
<title>$title</title>
<style>$style</style>
</head>
<body>
<h1>$title</h1>
<p class="faint">$subtitle</p>
$answer
$warnings
$reasons
$left_out

<h2>What counts as the goal</h2>
$goals

<h2>The numbers</h2>
<p>Labellings beside controls that know nothing of the task. A number says something only where it
is better than theirs. Each is explained <a href="#meaning">below</a>.</p>
$numbers
$made_of
$separation
$order
$bumps
$signal

<h2>Suspicious episodes</h2>
$flags

<h2>Distance to the goal over each episode</h2>
<p>A distance that means progress falls where the task is being done and stays up where it is not.
The goal of each episode is made of <em>other</em> episodes, unless it is said otherwise.</p>
$curves

<h2>Episode by episode</h2>
<p>Each picture stands below its own moment of the curves. $chosen</p>
$strips
$others

<h2>What training would see</h2>
<p>Regression weighs a transition by exp(tau × reward) (Eq. 7). Too small a temperature tau is plain
cloning, too large a one trains on a handful of frames.</p>
$weights

<h2>Sizes of rewards</h2>
$histograms
$dense

<h2>The embedding in two dimensions</h2>
$planes

<h2 id="meaning">What the numbers mean</h2>
$meaning
</body>
</html>
"""

# term, explanation; of the paper's tables and figures those that show the same
MEANING = (
    (
        "Distance and reward",
        "The encoder turns each frame into a vector; the distance is how far it lies from the "
        "vector of the goal. The reward of a transition is how much nearer it came (Eq. 1), so "
        "the rewards of an episode add up to its first distance less its last. An episode is "
        "measured against goal pictures of other episodes only: with its own last frame among "
        "them, it would come near by being itself.",
    ),
    (
        "Controls",
        "Raw pixels are the frame itself, made small; the random network never learnt anything; "
        "time only counts steps. With a camera that stands still, the first two can have fewer "
        "bumps than any trained encoder, as nothing but the robot changes the picture.",
    ),
    (
        "Bumps (Table 5)",
        "Share of an episode's transitions, one fewer than its frames, over which the distance to "
        "its own last frame rises; where it stays the same there is no bump. Mean ± standard "
        "deviation over successful episodes (over all, where none is). A random walk has about "
        "0.5. The paper has 0.243 ± 0.066 for VIP, 0.366 ± 0.046 for an ImageNet network, on "
        "robot clips of 50 frames; it does not say what it divides by.",
    ),
    (
        "Order",
        "Rank correlation (Spearman) of nearness to the goal with time: 1 if every later frame is "
        "nearer, 0 if time and distance have nothing to do with each other. Over the same "
        "episodes as bumps. Time itself has 1.",
    ),
    (
        "AUC",
        "Take a success and a failure at random: how probable is it that the success came closer "
        "to the goal between its first frame and its last? 0.5 is chance, 1 is certain. The "
        "interval of 95 % is Newcombe's, which is honest for a dozen episodes too. Two rewards are "
        "compared on the same episodes, drawn anew 4,000 times: one is better where the interval "
        "of the difference excludes 0.",
    ),
    (
        "AUC, failures that moved as far",
        "The same against those failures alone in which the robot went as far from its start as "
        "in a success. One that tells successes only from robots that stood still tells movement, "
        "not the task.",
    ),
    (
        "Goal agreement",
        "How far the goal pictures lie from each other, over how far the first frames lie from "
        "their mean. Near 0 they show one goal. Near 1 they differ as much as start and goal do: "
        "the mean of such pictures is a picture of nothing. Above 0.9 a warning says what to "
        "do; a labelling by nearest:successes takes no mean.",
    ),
    (
        "Signal over noise",
        "Root mean square change of the distance over n steps, over that between near-identical "
        "frames. About 1: the reward of so few steps is noise, whatever it adds up to. Where "
        "fewer than ten pairs of frames are near-identical, the noise is estimated from how rough "
        "the curves are, and then it is an upper bound.",
    ),
    (
        "R² with the true reward (Fig. 17 to 19)",
        "Share of a dense true reward's variance that a straight line of the visual reward "
        "explains, over transitions. There is one only if the data came with such a reward.",
    ),
    (
        "Effective sample size (Eq. 7)",
        "(sum of weights)² / (number × sum of squared weights): the share of transitions that "
        "would do as well if all weighed the same. 100 % is cloning. At the paper's temperature, "
        "0.1, many encoders give just that; train --tau auto looks for the temperature at which "
        "the size is the one wanted. Looked at for one step, for n steps ahead, and for the whole "
        "return.",
    ),
    (
        "Weight on successes",
        "Share of all weight that lies on transitions of successful episodes at that temperature, "
        "beside their share of the transitions. Equal shares: the weights do not know success.",
    ),
    (
        "Distance curves (Fig. 6, 20)",
        "Divided by the first distance, so that encoders of any scale may be compared. In the "
        "paper the goal is the episode's own last frame, which every curve reaches by definition, "
        "failures too.",
    ),
    (
        "Sizes of rewards (Fig. 7, 21, 22)",
        "How often rewards of each size occur, from curves that start at 1, in bins that meet at "
        "0. The ideal is a tall peak in the first positive bin and few large rewards either way. "
        "What lies beyond the axis is counted in the outermost bins. The difference in count is "
        "(|a| − |b|) / |b| for each bin.",
    ),
    (
        "Two dimensions (Fig. 2)",
        "The two directions in which the vectors vary most (principal components). In Fig. 2 the "
        "encoder itself was trained to give two numbers. Successes should go one way, and end at "
        "one place.",
    ),
)
