//! Carries out whatever the stored facts say is unfinished.
