using TorchBridge.Scale.Tests.Work;

await WorkerProcess.Run(typeof(WorkerProcess).Assembly.Location, args);
