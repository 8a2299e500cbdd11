"""The paper's model selection: both model families over a grid, each by stratified k-fold cross-validation."""
