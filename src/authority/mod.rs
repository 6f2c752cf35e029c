//! The decisions: one use case per function, one commit per decision.
