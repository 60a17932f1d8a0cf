using TorchBridge.Serving.Runtime;

namespace TorchBridge.Serving.Tests.Runtime;

public class ModelSessionsTests
{
    [Fact]
    public void A_request_that_is_alone_gets_all_cores_and_load_one_each()
    {
        var wide = Sessions.Open(TestModels.Affine());
        var narrow = Sessions.Open(TestModels.Affine(), threads: 1);
        using var sessions = new ModelSessions(wide, narrow, 2);
        Assert.Equal(2, sessions.Workers);
        Assert.Same(wide, sessions.Enter(othersWait: false));
        Assert.Same(narrow, sessions.Enter(othersWait: false)); // another one runs
        sessions.Leave();
        sessions.Leave();
        Assert.Same(narrow, sessions.Enter(othersWait: true));
        sessions.Leave();
        Assert.Same(wide, sessions.Enter(othersWait: false));
    }

    [Fact]
    public void One_session_runs_everything()
    {
        var session = Sessions.Open(TestModels.Affine());
        using var sessions = new ModelSessions(session, 3);
        Assert.Equal([session], sessions.All);
        Assert.Same(session, sessions.Enter(othersWait: true));
        Assert.Same(session, sessions.Enter(othersWait: false));
    }

    /// <summary>Two sessions only where nothing was asked for, and a second copy of the weights is cheap.</summary>
    [Fact]
    public void What_is_asked_for_gets_one_session()
    {
        using var folder = new TempFolder();
        File.WriteAllBytes(folder["m.onnx"], TestModels.External("w.bin"));
        File.WriteAllBytes(folder["w.bin"], new byte[12]);
        File.WriteAllBytes(folder["plain.onnx"], TestModels.Affine());
        var plain = ModelSource.Read(folder["plain.onnx"]);
        var cores = Environment.ProcessorCount;
        Assert.Equal(cores == 1 ? (1, 1) : (2, cores), Opened(plain, 0, new RuntimeSettings()));
        Assert.Equal((1, 3), Opened(plain, 3, new RuntimeSettings()));
        Assert.Equal((1, 1), Opened(plain, 0, new RuntimeSettings(Threads: 2)));
        Assert.Equal((1, 1), Opened(plain, 0, new RuntimeSettings(Configure: _ => { })));
        Assert.Equal((1, 1), Opened(ModelSource.Read(folder["m.onnx"]), 0, new RuntimeSettings()));

        static (int Sessions, int Workers) Opened(ModelSource source, int workers, RuntimeSettings settings)
        {
            using var sessions = ModelSessions.Open(source, workers, settings);
            return (sessions.All.Count, sessions.Workers);
        }
    }
}
