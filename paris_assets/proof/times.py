"""At which times networks are measured, and where they are judged; t is 0 for clean latents and 1 for noise."""

TIMES = (0.1, 0.3, 0.5, 0.7, 0.9, 1.0)
LEARNED_AT, ROUTED_AT, ROUTER_AT = 0.5, 0.5, 0.1
