"""RobustBench's pretrained models: their names and published accuracies (`models`), checked files, download, loading."""
