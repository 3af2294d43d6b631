//! Noise schedules, predictions, guidance, noise and samplers for diffusion models.
