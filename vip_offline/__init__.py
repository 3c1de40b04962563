"""Few-shot offline RL from a camera, a goal picture and twenty demonstrations.

The folders sort in the order in which data flows; each imports only from those before it:

    data     demonstrations in, one zarr store out
    encode   frames -> embeddings, by a frozen visual encoder
    label    embeddings -> rewards (Eq. 1 of the VIP paper)
    learn    labelled store -> policy, through d3rlpy
    report   numbers -> tables, figures, one HTML page
    run      whatever steps an environment: recording, rollouts, comparisons
    serve    a policy folder behind a socket
"""

__version__ = "0.1.0"
