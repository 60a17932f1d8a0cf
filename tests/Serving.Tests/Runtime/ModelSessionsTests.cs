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
}
