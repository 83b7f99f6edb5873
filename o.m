timeout: failed to run command ‘run’: No such file or directory
